package fakelivekit

import (
	"context"
	"maps"
	"net/http"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
)

// api implements the RoomService over a Fake. What the fake does not model (tracks' mute state, data, RPC) answers unimplemented.
type api struct {
	livekit.RoomService // nil: guard lets no unknown method through
	fake                *Fake
}

func newAPI(f *Fake) http.Handler {
	server := livekit.NewRoomServiceServer(&api{fake: f}, twirp.WithServerInterceptors(f.guard))
	return authenticate(f.opts.APIKey, f.opts.APISecret, server)
}

// errNoRoom and errNoParticipant return fresh errors each time, because twirp errors carry state.
func errNoRoom() error        { return twirp.NotFoundError("requested room does not exist") }
func errNoParticipant() error { return twirp.NotFoundError("participant does not exist") }

func (a *api) CreateRoom(_ context.Context, req *livekit.CreateRoomRequest) (*livekit.Room, error) {
	room := a.fake.CreateRoom(req)
	if room == nil {
		return nil, twirp.NewError(twirp.Unavailable, "the fake livekit has just gone down")
	}
	return room, nil
}

func (a *api) ListRooms(ctx context.Context, req *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error) {
	if old := staleView(ctx); old != nil {
		return &livekit.ListRoomsResponse{Rooms: old.listRooms(req.Names)}, nil
	}
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	for _, r := range a.fake.world {
		a.fake.count(r)
	}
	return &livekit.ListRoomsResponse{Rooms: a.fake.listed("").listRooms(req.Names)}, nil
}

func (a *api) DeleteRoom(_ context.Context, req *livekit.DeleteRoomRequest) (*livekit.DeleteRoomResponse, error) {
	if !a.fake.DeleteRoom(req.Room) {
		return nil, errNoRoom()
	}
	return &livekit.DeleteRoomResponse{}, nil
}

func (a *api) ListParticipants(ctx context.Context, req *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse, error) {
	if old := staleView(ctx); old != nil {
		return &livekit.ListParticipantsResponse{Participants: old.listParticipants(req.Room)}, nil
	}
	a.fake.mu.Lock()
	world := a.fake.listed(req.Room)
	_, known := world[req.Room]
	people := world.listParticipants(req.Room)
	a.fake.mu.Unlock()
	if !known && a.fake.opts.NoRoom != twirp.NoError {
		return nil, a.noRoom(ctx)
	}
	return &livekit.ListParticipantsResponse{Participants: people}, nil
}

// noRoom returns ListParticipants' answer for a room that does not exist.
func (a *api) noRoom(ctx context.Context) error {
	if a.fake.opts.NoRoom == twirp.NotFound {
		return errNoRoom()
	}
	if err := a.fake.stall(ctx, APIFault{Delay: a.fake.opts.seconds(3)}); err != nil {
		return err
	}
	return twirp.NewError(a.fake.opts.NoRoom, "no response from servers")
}

func (a *api) GetParticipant(_ context.Context, req *livekit.RoomParticipantIdentity) (*livekit.ParticipantInfo, error) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	p := a.fake.world.person(req.Room, req.Identity)
	if p == nil {
		return nil, errNoParticipant()
	}
	return cloneOf(p.info), nil
}

func (a *api) RemoveParticipant(_ context.Context, req *livekit.RoomParticipantIdentity) (*livekit.RemoveParticipantResponse, error) {
	if !a.fake.Remove(req.Room, req.Identity) {
		return nil, errNoParticipant()
	}
	return &livekit.RemoveParticipantResponse{}, nil
}

func (a *api) UpdateParticipant(_ context.Context, req *livekit.UpdateParticipantRequest) (*livekit.ParticipantInfo, error) {
	var info *livekit.ParticipantInfo
	found := a.fake.with(req.Room, req.Identity, func(_ *room, p *person) bool {
		update(p.info, req)
		info = cloneOf(p.info)
		return true
	})
	if !found {
		return nil, errNoParticipant()
	}
	return info, nil
}

// update raises the version once for each field that the request sets. An attribute set to "" is deleted.
func update(info *livekit.ParticipantInfo, req *livekit.UpdateParticipantRequest) {
	if req.Metadata != "" {
		info.Metadata = req.Metadata
		info.Version++
	}
	if req.Name != "" {
		info.Name = req.Name
		info.Version++
	}
	if len(req.Attributes) > 0 {
		if info.Attributes == nil {
			info.Attributes = map[string]string{}
		}
		maps.Copy(info.Attributes, req.Attributes)
		maps.DeleteFunc(info.Attributes, func(_, v string) bool { return v == "" })
		info.Version++
	}
	if req.Permission != nil {
		info.Permission = cloneOf(req.Permission)
		info.Version++
	}
}

func (a *api) UpdateRoomMetadata(_ context.Context, req *livekit.UpdateRoomMetadataRequest) (*livekit.Room, error) {
	if !a.fake.SetRoomMetadata(req.Room, req.Metadata) {
		return nil, errNoRoom()
	}
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	r := a.fake.world[req.Room]
	if r == nil {
		return nil, errNoRoom()
	}
	return cloneOf(r.info), nil
}
