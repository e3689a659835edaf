package reconcile

// Grant is what a LiveKit access token allows on rollcall's API.
type Grant struct {
	// RoomList and RoomAdmin are LiveKit's grants of those names.
	RoomList, RoomAdmin bool
	// Room limits RoomAdmin to the room of that name; "" means the whole cluster.
	Room string
	// Identity is the identity of the participant that the token is for, or "" if the token has none.
	Identity string
}
