package sim

import (
	"context"
	"maps"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
)

// LookFault is what happens to one call of LiveKit's API.
type LookFault struct {
	Err   error
	Empty bool
	Delay time.Duration // the answer is as old as this when it arrives
}

// LiveKit is a fake's API as package actors asks for it.
type LiveKit struct {
	Fake *fakelivekit.Fake
	// Order gives each call's fault; room is "" for a list of rooms. It is called at once by many.
	Order func(room string) LookFault
}

var _ actors.Rooms = (*LiveKit)(nil)

// see is what the API shows, or how it fails.
func (l *LiveKit) see(ctx context.Context, room string) (*fakelivekit.Snapshot, bool, error) {
	fault := l.Order(room)
	shown := l.Fake.Shown(room)
	select {
	case <-time.After(fault.Delay):
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	return shown, fault.Empty, fault.Err
}

// ListRooms lists all rooms.
func (l *LiveKit) ListRooms(ctx context.Context) (list reconcile.RoomNames, err error) {
	shown, empty, err := l.see(ctx, "")
	if err != nil || empty {
		return list, err
	}
	for _, r := range shown.Rooms() {
		list.Names = append(list.Names, r.Name)
	}
	return list, nil
}

// Listed lists rooms by name.
func (l *LiveKit) Listed(ctx context.Context, names []string) (list reconcile.RoomList, err error) {
	shown, empty, err := l.see(ctx, "")
	if err != nil || empty {
		return list, err
	}
	list.Rooms = map[string][]reconcile.RoomInfo{}
	for _, r := range shown.Rooms(names...) {
		list.Rooms[r.Name] = append(list.Rooms[r.Name], roomInfo(r))
	}
	return list, nil
}

// Participants lists a room's ACTIVE participants.
func (l *LiveKit) Participants(ctx context.Context, room string) (list reconcile.ParticipantList, err error) {
	shown, empty, err := l.see(ctx, room)
	if err != nil || empty {
		return list, err
	}
	list.Active, list.Waiting = people(shown, room)
	return list, nil
}

func people(shown *fakelivekit.Snapshot, room string) (active []reconcile.Participant, waiting int) {
	for _, p := range shown.Participants(room) {
		if p.State != livekit.ParticipantInfo_ACTIVE {
			waiting++
			continue
		}
		active = append(active, reconcile.Participant{Identity: p.Identity, JoinedAt: p.JoinedAtMs, Metadata: p.Metadata, SID: p.Sid,
			Name: p.Name, Attributes: maps.Clone(p.Attributes), Kind: p.Kind.String(), Hidden: p.Permission.GetHidden(), Version: p.Version})
	}
	return active, waiting
}

func roomInfo(r *livekit.Room) reconcile.RoomInfo {
	return reconcile.RoomInfo{Name: r.Name, SID: r.Sid, CreatedMs: r.CreationTimeMs, MaxParticipants: r.MaxParticipants, Metadata: r.Metadata}
}
