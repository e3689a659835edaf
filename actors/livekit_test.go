package actors_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// livekit is a scripted LiveKit: what its API shows, and the webhooks that it would send.
type livekit struct {
	mu     sync.Mutex
	rooms  map[string]*stage
	sids   int
	older  map[string][]reconcile.RoomInfo // living rooms of one name besides the newest
	listed int                             // calls of Listed
	looks  map[string][]int64              // when each room's participants were asked for, Unix ms
	fault  func(room string) (empty bool, err error)
	// These change what lists hold, if a test sets them before anything runs.
	faultyNames  func(*reconcile.RoomNames)
	faultyPeople func(room string, list *reconcile.ParticipantList)
}

var _ actors.Rooms = (*livekit)(nil)

type stage struct {
	info   reconcile.RoomInfo
	people []reconcile.Participant
}

func newLivekit() *livekit {
	return &livekit{rooms: map[string]*stage{}, looks: map[string][]int64{}}
}

func (l *livekit) sid(prefix string) string {
	l.sids++
	return fmt.Sprint(prefix, l.sids)
}

// event makes an event. The caller must hold l.mu.
func (l *livekit) event(kind reconcile.EventKind, s *stage, p reconcile.Participant) reconcile.Event {
	return reconcile.Event{ID: l.sid("EV_"), Kind: kind, CreatedAt: time.Now().Unix(), Room: s.info, Participant: p}
}

// start makes a room.
func (l *livekit) start(room string) reconcile.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &stage{info: reconcile.RoomInfo{Name: room, SID: l.sid("RM_"), CreatedMs: time.Now().UnixMilli()}}
	l.rooms[room] = s
	return l.event(reconcile.Started, s, reconcile.Participant{})
}

// join puts a participant into a room, which it makes if needed.
func (l *livekit) join(room, identity string) reconcile.Event {
	l.mu.Lock()
	s := l.rooms[room]
	l.mu.Unlock()
	if s == nil {
		l.start(room)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s = l.rooms[room]
	p := reconcile.Participant{Identity: identity, SID: l.sid("PA_"), JoinedAt: time.Now().UnixMilli(), Version: 1}
	s.people = append(s.people, p)
	return l.event(reconcile.Joined, s, p)
}

func (l *livekit) leave(room, identity string) reconcile.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.rooms[room]
	i := slices.IndexFunc(s.people, func(p reconcile.Participant) bool { return p.Identity == identity })
	p := s.people[i]
	s.people = slices.Delete(slices.Clone(s.people), i, i+1)
	return l.event(reconcile.Left, s, p)
}

// finish ends a room at once. It returns all events that LiveKit would send.
func (l *livekit) finish(room string) (events []reconcile.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.rooms[room]
	for _, p := range s.people {
		events = append(events, l.event(reconcile.Left, s, p))
	}
	delete(l.rooms, room)
	return append(events, l.event(reconcile.Finished, s, reconcile.Participant{}))
}

// order makes fault decide the faults of the API from now on. room is "" for lists of rooms.
func (l *livekit) order(fault func(room string) (empty bool, err error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// answer returns the fault of a call. The caller must hold l.mu.
func (l *livekit) answer(ctx context.Context, room string) (empty bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if l.fault != nil {
		return l.fault(room)
	}
	return false, nil
}

func (l *livekit) ListRooms(ctx context.Context) (list reconcile.RoomNames, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	empty, err := l.answer(ctx, "")
	if empty || err != nil {
		return list, err
	}
	list.Names = slices.Sorted(maps.Keys(l.rooms))
	if l.faultyNames != nil {
		l.faultyNames(&list)
	}
	return list, nil
}

func (l *livekit) Listed(ctx context.Context, names []string) (list reconcile.RoomList, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed++
	empty, err := l.answer(ctx, "")
	if empty || err != nil {
		return list, err
	}
	list.Rooms = map[string][]reconcile.RoomInfo{}
	for _, name := range names {
		if s := l.rooms[name]; s != nil {
			list.Rooms[name] = append(slices.Clone(l.older[name]), s.info)
		}
	}
	return list, nil
}

func (l *livekit) Participants(ctx context.Context, room string) (list reconcile.ParticipantList, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks[room] = append(l.looks[room], time.Now().UnixMilli())
	empty, err := l.answer(ctx, room)
	if empty || err != nil {
		return list, err
	}
	if s := l.rooms[room]; s != nil {
		list.Active = slices.Clone(s.people)
	}
	if l.faultyPeople != nil {
		l.faultyPeople(room, &list)
	}
	return list, nil
}

// looked returns when a room's participants were asked for, in Unix ms.
func (l *livekit) looked(room string) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.looks[room])
}
