package livekit

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"golang.org/x/sync/errgroup"

	"github.com/rollcallhq/rollcall/reconcile"
)

// namesPerRequest is how many rooms one ListRooms asks for by name.
const namesPerRequest = 100

// Participants is who ListParticipants has in a room.
type Participants struct {
	// Active are those that are present.
	Active []reconcile.Participant
	// Waiting counts those that are on the way in: listed, neither ACTIVE nor gone.
	Waiting int
}

// ListRooms gives all rooms.
func (c *Client) ListRooms(ctx context.Context) ([]reconcile.RoomInfo, error) {
	return c.listRooms(ctx, nil)
}

// Listed gives those of the named rooms that LiveKit lists, by name; two living rooms of one name are both there. It asks in parts, side
// by side. If one part fails, all does.
func (c *Client) Listed(ctx context.Context, names []string) (map[string][]reconcile.RoomInfo, error) {
	names = slices.DeleteFunc(slices.Clone(names), impossible)
	parts := slices.Collect(slices.Chunk(names, namesPerRequest))
	answers := make([][]reconcile.RoomInfo, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Concurrency)
	for i, part := range parts {
		group.Go(func() (err error) {
			answers[i], err = c.listRooms(ctx, part)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	asked := make(map[string]bool, len(names))
	for _, name := range names {
		asked[name] = true
	}
	listed := make(map[string][]reconcile.RoomInfo)
	for _, rooms := range answers {
		for _, room := range rooms {
			if asked[room.Name] {
				listed[room.Name] = append(listed[room.Name], room)
			}
		}
	}
	return listed, nil
}

// listRooms asks for all rooms if no names are given.
func (c *Client) listRooms(ctx context.Context, names []string) ([]reconcile.RoomInfo, error) {
	answer, err := ask(ctx, c, "ListRooms", auth.VideoGrant{RoomList: true}, c.rooms.ListRooms,
		&livekit.ListRoomsRequest{Names: names})
	if err != nil {
		return nil, err
	}
	rooms := make([]reconcile.RoomInfo, 0, len(answer.GetRooms()))
	for _, r := range answer.GetRooms() {
		if fault := roomFault(r); fault != "" {
			return nil, fmt.Errorf("LiveKit lists %s (name %q, sid %q)", fault, r.GetName(), r.GetSid())
		}
		rooms = append(rooms, roomInfo(r))
	}
	return rooms, nil
}

// impossible tells whether LiveKit cannot have a room of that name. Keys that others wrote may bear such a name: asking for it
// would fail, together with all that is asked for in the same request.
func impossible(name string) bool { return name == "" || !utf8.ValidString(name) }

// Participants gives who is in a room; a room that LiveKit does not have is empty.
func (c *Client) Participants(ctx context.Context, room string) (Participants, error) {
	if impossible(room) {
		return Participants{}, nil
	}
	answer, err := ask(ctx, c, "ListParticipants", auth.VideoGrant{RoomAdmin: true, Room: room}, c.rooms.ListParticipants,
		&livekit.ListParticipantsRequest{Room: room})
	if err != nil {
		return Participants{}, fmt.Errorf("room %q: %w", room, err)
	}
	list := Participants{Active: make([]reconcile.Participant, 0, len(answer.GetParticipants()))}
	for _, p := range answer.GetParticipants() {
		switch p.GetState() {
		case livekit.ParticipantInfo_ACTIVE:
			if fault := participantFault(p); fault != "" {
				return Participants{}, fmt.Errorf("room %q: LiveKit lists %s (identity %q, sid %q)", room, fault, p.GetIdentity(), p.GetSid())
			}
			list.Active = append(list.Active, participant(p))
		case livekit.ParticipantInfo_DISCONNECTED:
		default:
			list.Waiting++
		}
	}
	return list, nil
}
