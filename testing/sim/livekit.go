package sim

import (
	"context"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// LookFault is the fault of one call to LiveKit's API.
type LookFault struct {
	Err   error
	Empty bool
	Delay time.Duration // the age of the answer when it arrives
}

// LiveKit adapts a fake to the port through which package actors calls LiveKit.
type LiveKit struct {
	Fake *fakelivekit.Fake
	// Client, if set, calls the fake instead, as the client of cmd/rollcall does.
	Client actors.Rooms
	// Order returns each call's fault. room is "" for a list of rooms. Order must be safe for concurrent use.
	Order func(room string) LookFault
}

var _ actors.Rooms = (*LiveKit)(nil)

// see returns what the API shows, or its failure.
func (l *LiveKit) see(ctx context.Context, room string, names ...string) (*fakelivekit.Snapshot, bool, error) {
	fault := l.Order(room)
	shown := l.Fake.Shown(room, names...)
	if err := wait.For(ctx, fault.Delay); err != nil {
		return nil, false, err
	}
	return shown, fault.Empty, fault.Err
}

// asked returns the client's answer, or its failure.
func asked[T any](ctx context.Context, l *LiveKit, room string, ask func() (T, error)) (T, error) {
	var none T
	fault := l.Order(room)
	if fault.Err != nil || fault.Empty {
		return none, fault.Err
	}
	answer, err := ask()
	if wait.For(ctx, fault.Delay) != nil {
		return none, ctx.Err()
	}
	return answer, err
}

// ListRooms lists all rooms.
func (l *LiveKit) ListRooms(ctx context.Context) (list reconcile.RoomNames, err error) {
	if l.Client != nil {
		return asked(ctx, l, "", func() (reconcile.RoomNames, error) { return l.Client.ListRooms(ctx) })
	}
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
	if l.Client != nil {
		return asked(ctx, l, "", func() (reconcile.RoomList, error) { return l.Client.Listed(ctx, names) })
	}
	shown, empty, err := l.see(ctx, "", names...)
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
	if l.Client != nil {
		return asked(ctx, l, room, func() (reconcile.ParticipantList, error) { return l.Client.Participants(ctx, room) })
	}
	shown, empty, err := l.see(ctx, room)
	if err != nil || empty {
		return list, err
	}
	list.Active, list.Waiting = people(shown, room)
	return list, nil
}

// Limited is LiveKit's own rate limit: it refuses every request while it is on.
type Limited struct {
	Next http.RoundTripper
	On   atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (l *Limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.On.Load() {
		return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return l.Next.RoundTrip(r)
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
