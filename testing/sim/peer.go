package sim

import (
	"context"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// peer is another node behind a network that sometimes delivers an event twice, the second time late, as when a request is
// retried because its answer was lost.
type peer struct {
	actors.Owner
	from *Process
}

// Deliver implements actors.Owner.
func (p *peer) Deliver(ctx context.Context, e reconcile.Event) error {
	w := p.from.world
	if _, gone := p.from.Gate.Pass(); gone != nil {
		return gone
	}
	if w.Hurting() && w.Dice.Roll("copy") < 0.05 {
		w.late.Go(func() {
			if wait.For(p.from.life, time.Duration(w.Dice.N("late copy", 15000))*time.Millisecond) == nil {
				_ = p.Owner.Deliver(p.from.life, e)
			}
		})
	}
	err := p.Owner.Deliver(ctx, e)
	if _, gone := p.from.Gate.Pass(); gone != nil {
		return gone
	}
	return err
}

// served is a process's rooms as other nodes reach them. While the process is paused, or once it is killed, it does nothing.
type served struct{ *owner }

// Deliver implements actors.Owner.
func (s *served) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := through(&s.process.Gate, func() (struct{}, error) { return struct{}{}, s.owner.Deliver(ctx, e) })
	return err
}

// Survey implements actors.Owner.
func (s *served) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	return through(&s.process.Gate, func() (actors.Findings, error) { return s.owner.Survey(ctx, b) })
}

// Cleanup implements actors.Owner.
func (s *served) Cleanup(ctx context.Context, t actors.CleanupRequest) (actors.CleanupResult, error) {
	return through(&s.process.Gate, func() (actors.CleanupResult, error) { return s.owner.Cleanup(ctx, t) })
}

// through makes a call of a process or to it. What the process reads once it is killed counts for nothing.
func through[T any](gate *Gate, do func() (T, error)) (T, error) {
	var none T
	if _, gone := gate.Pass(); gone != nil {
		return none, gone
	}
	v, err := do()
	if _, gone := gate.Pass(); gone != nil {
		return none, gone
	}
	return v, err
}

// owner is a process's Host as all others see it. It also checks the work that leaders ask for.
type owner struct {
	actors.Owner
	process *Process

	mu      sync.Mutex
	newest  reconcile.Token // the newest leader of a survey
	entered time.Time
}

var _ actors.Owner = (*owner)(nil)

// Survey implements actors.Owner. A survey of an older leader must fail if a newer leader is known or has begun one.
func (o *owner) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	known := o.process.seen.before(time.Now()).leader
	o.mu.Lock()
	if b.Leader.Compare(o.newest) > 0 && b.Leader.Compare(o.process.Ownership.Leader()) >= 0 {
		o.newest, o.entered = b.Leader, time.Now()
	}
	o.mu.Unlock()
	f, err := o.Owner.Survey(ctx, b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && (b.Leader.Compare(known) < 0 || b.Leader.Compare(o.newest) < 0 && o.entered.Before(time.Now())) {
		o.process.world.History.Fault("%s: a survey of the leader %v was done; %v was known, and one of %v had begun", o.process.Name, b.Leader, known, o.newest)
	}
	return f, err
}

// Cleanup implements actors.Owner.
func (o *owner) Cleanup(ctx context.Context, t actors.CleanupRequest) (actors.CleanupResult, error) {
	known := o.process.seen.before(time.Now()).leader
	done, err := o.Owner.Cleanup(ctx, t)
	if len(done.Orphans) > 0 && t.Leader.Compare(known) < 0 {
		o.process.world.History.Fault("%s: a cleanup of the leader %v took %q off the index; %v was known", o.process.Name, t.Leader, done.Orphans, known)
	}
	return done, err
}
