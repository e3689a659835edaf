package livekit

import "time"

// Grant is what a LiveKit access token allows on our API, as docs/api.md says.
type Grant struct {
	// RoomList and RoomAdmin are LiveKit's grants of those names.
	RoomList, RoomAdmin bool
	// Room limits RoomAdmin to the room of that name; "" stands for the whole cluster.
	Room string
	// Identity is whose token it is; "" where it does not say.
	Identity string
}

// Tokens verifies LiveKit access tokens.
type Tokens struct{ keys keyring }

// NewTokens takes the accepted API keys with their secrets, none of them empty.
func NewTokens(keys map[string]string) (*Tokens, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	return &Tokens{keys: ring}, nil
}

// Verify reads the token of an Authorization header. Any fault is ErrUnauthorized; a good token without video grants gives
// the zero Grant, which allows nothing.
func (t *Tokens) Verify(authorization string, now time.Time) (Grant, error) {
	c, err := t.keys.read(authorization, now)
	if err != nil {
		return Grant{}, err
	}
	return Grant{RoomList: c.Video.RoomList, RoomAdmin: c.Video.RoomAdmin, Room: c.Video.Room, Identity: c.Subject}, nil
}
