package sim

import (
	"context"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// store is a process's access to the shared store: through its gate, over the network, with the store's own faults.
type store struct {
	process *Process
	faulty  *memstore.Faulty
}

var _ node.Store = (*store)(nil)

// call makes one call. A call that waited at the gate is sent even if its time is over; a call that a cut holds up may arrive
// after its sender has given up; and an answer may be lost.
func call[T any](ctx context.Context, p *Process, topic string, do func(context.Context) (T, error)) (T, error) {
	var none T
	waited, err := p.Gate.Pass()
	if err != nil {
		return none, err
	}
	w := p.world
	if waited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
	}
	if err := w.hop(ctx, p.Name, Redis); err != nil {
		if w.Hurting() && w.Dice.Roll("late "+topic) < 0.5 {
			w.late.Go(func() {
				later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
				defer cancel()
				defer func() { _ = recover() }() // an injected crash must not hit anyone here
				if w.hop(later, p.Name, Redis) == nil {
					_, _ = do(later)
				}
			})
		}
		return none, err
	}
	v, err := do(ctx)
	if back := w.hop(ctx, Redis, p.Name); back != nil {
		return none, back
	}
	if _, gone := p.Gate.Pass(); gone != nil {
		return none, gone
	}
	return v, err
}

// send is a call that is answered with nothing but an error.
func send(ctx context.Context, p *Process, topic string, do func(context.Context) error) error {
	_, err := call(ctx, p, topic, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}

// Claim implements actors.Store.
func (s *store) Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	s.process.learn()
	defer s.process.claims.begin(room)()
	return call(ctx, s.process, room, func(ctx context.Context) (reconcile.Record, error) { return s.faulty.Claim(ctx, room, c) })
}

// Claimed implements node.Store.
func (s *store) Claimed(ctx context.Context, room string) (reconcile.Claim, error) {
	return call(ctx, s.process, room, func(ctx context.Context) (reconcile.Claim, error) { return s.faulty.Claimed(ctx, room) })
}

// Commit implements actors.Store.
func (s *store) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	p := s.process
	p.learn()
	p.world.History.Kept(c.Room, c.Claim, p.seen.before(p.claims.decided(c.Room)).epoch)
	return call(ctx, p, c.Room, func(ctx context.Context) (reconcile.Receipt, error) { return s.faulty.Commit(ctx, c) })
}

// Delist implements actors.Store.
func (s *store) Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error {
	return send(ctx, s.process, room, func(ctx context.Context) error { return s.faulty.Delist(ctx, room, c, leader) })
}

// Rooms implements actors.Index.
func (s *store) Rooms(ctx context.Context, cursor string, limit int, search string) ([]string, string, error) {
	type page struct {
		names []string
		next  string
	}
	p, err := call(ctx, s.process, "index", func(ctx context.Context) (p page, err error) {
		p.names, p.next, err = s.faulty.Rooms(ctx, cursor, limit, search)
		return p, err
	})
	return p.names, p.next, err
}

// Generation implements node.Store.
func (s *store) Generation(ctx context.Context) (uint64, error) {
	return call(ctx, s.process, "generation", s.faulty.Generation)
}

// RaiseGeneration implements node.Store.
func (s *store) RaiseGeneration(ctx context.Context, g uint64) error {
	return send(ctx, s.process, "generation", func(ctx context.Context) error { return s.faulty.RaiseGeneration(ctx, g) })
}

// Epoch implements node.Store.
func (s *store) Epoch(ctx context.Context, generation uint64) (uint64, error) {
	return call(ctx, s.process, "epoch", func(ctx context.Context) (uint64, error) { return s.faulty.Epoch(ctx, generation) })
}

// RaiseEpoch implements node.Store.
func (s *store) RaiseEpoch(ctx context.Context, generation, epoch uint64) error {
	return send(ctx, s.process, "epoch", func(ctx context.Context) error { return s.faulty.RaiseEpoch(ctx, generation, epoch) })
}

// ping is the call that decides whether a node is healthy.
func (s *store) ping(ctx context.Context) error {
	return send(ctx, s.process, "ping", s.faulty.Ping)
}

// claims records when the last claim of each room was in flight: a commit right after it was decided when the claim began.
type claims struct {
	mu     sync.Mutex
	ended  map[string]time.Time
	begins map[string]time.Time
}

func (c *claims) begin(room string) (end func()) {
	began := time.Now()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended == nil {
			c.ended, c.begins = map[string]time.Time{}, map[string]time.Time{}
		}
		c.ended[room], c.begins[room] = time.Now(), began
	}
}

func (c *claims) decided(room string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); !c.ended[room].Equal(now) {
		return now
	}
	return c.begins[room]
}

// looks is LiveKit as a process sees it. An answer that arrives while the process is paused is old when it is read.
type looks struct {
	process *Process
	livekit *LiveKit
}

var _ actors.Rooms = (*looks)(nil)

// ListRooms implements actors.Rooms.
func (l *looks) ListRooms(ctx context.Context) (reconcile.RoomNames, error) {
	return through(&l.process.Gate, func() (reconcile.RoomNames, error) { return l.livekit.ListRooms(ctx) })
}

// Listed implements actors.Rooms.
func (l *looks) Listed(ctx context.Context, names []string) (reconcile.RoomList, error) {
	return through(&l.process.Gate, func() (reconcile.RoomList, error) { return l.livekit.Listed(ctx, names) })
}

// Participants implements actors.Rooms.
func (l *looks) Participants(ctx context.Context, room string) (reconcile.ParticipantList, error) {
	return through(&l.process.Gate, func() (reconcile.ParticipantList, error) { return l.livekit.Participants(ctx, room) })
}
