package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// shortly and patiently bound requests that come without a deadline, and patience is how long a link may be in
	// trouble, as in internal/remote.
	shortly   = 5 * time.Second
	patiently = 5 * time.Minute
	patience  = 3 * time.Second
	redial    = 100 * time.Millisecond
	// notice is how long a link takes at the most to notice that it carries nothing.
	notice = 12 * time.Second
)

// errLost is trouble with the link: the request may not have come, or its answer not.
var errLost = fmt.Errorf("%w: the node cannot be reached", actors.ErrUnavailable)

// peer is the rooms of another node, in place of internal/remote: requests over a network that loses, delays, repeats and
// brings them late, to a receiver that refuses what its view is behind of.
type peer struct {
	from  *Process
	to    string
	epoch uint64
}

var _ actors.Owner = (*peer)(nil)

// Deliver implements actors.Owner.
func (p *peer) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := ask(ctx, p, shortly, func(ctx context.Context, o *owner) (struct{}, error) { return struct{}{}, o.Deliver(ctx, e) })
	return err
}

// Survey implements actors.Owner.
func (p *peer) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	return ask(ctx, p, patiently, func(ctx context.Context, o *owner) (actors.Findings, error) { return o.Survey(ctx, b) })
}

// Tend implements actors.Owner.
func (p *peer) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	return ask(ctx, p, patiently, func(ctx context.Context, o *owner) (actors.Tended, error) { return o.Tend(ctx, t) })
}

// Names implements actors.Owner.
func (p *peer) Names(ctx context.Context) ([]string, error) {
	return ask(ctx, p, shortly, func(ctx context.Context, o *owner) ([]string, error) { return o.Names(ctx) })
}

// ask repeats what was lost, for a while.
func ask[T any](ctx context.Context, p *peer, limit time.Duration, do func(context.Context, *owner) (T, error)) (T, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	for until := time.Now().Add(patience); ; {
		v, err := attempt(ctx, p, do)
		if !errors.Is(err, errLost) || time.Now().Add(redial).After(until) {
			return v, err
		}
		select {
		case <-time.After(redial):
		case <-ctx.Done():
			return v, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// result is an answer.
type result[T any] struct {
	value T
	err   error
}

// attempt sends a request once. It goes on when its sender gives up.
func attempt[T any](ctx context.Context, p *peer, do func(context.Context, *owner) (T, error)) (T, error) {
	var none T
	w := p.from.world
	if _, err := p.from.Gate.Pass(); err != nil {
		return none, err
	}
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if left <= 0 {
		return none, fmt.Errorf("%w: %w", actors.ErrUnavailable, context.DeadlineExceeded)
	}
	answers := make(chan result[T], 1)
	say := func(r result[T]) {
		select {
		case answers <- r:
		default: // another copy was answered, or nobody waits
		}
	}
	copies := 1
	if w.Hurting() && w.Dice.Roll("copy") < 0.05 {
		copies = 2
	}
	for i := range copies {
		w.late.Go(func() {
			answered := false
			p.travel(i > 0, left, func(ctx context.Context, o *owner) { answered = arrive(ctx, p, o, do, say) })
			if !answered {
				_ = pause(context.Background(), time.Duration(w.Dice.N("notice", int(notice.Milliseconds())))*time.Millisecond)
				say(result[T]{err: errLost})
			}
		})
	}
	select {
	case a := <-answers:
		if _, gone := p.from.Gate.Pass(); gone != nil {
			return none, gone
		}
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
	}
}

// travel brings a request to the other node, with the time that was left when it was sent; late it may come, or never.
func (p *peer) travel(second bool, left time.Duration, work func(context.Context, *owner)) {
	w, topic := p.from.world, p.from.Name+">"+p.to
	life, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if second {
		_ = pause(life, time.Duration(w.Dice.N("late copy", 15000))*time.Millisecond)
	}
	if w.Hurting() && w.Dice.Roll(topic) < 0.03 {
		return // it vanishes without a word
	}
	if open, _ := w.Net.Open(p.from.Name, p.to); !open && w.Dice.Roll(topic) < 0.7 {
		return // the link breaks; otherwise it comes late
	}
	if w.hop(life, p.from.Name, p.to) != nil {
		return
	}
	to := w.peer(p.to)
	if to == nil {
		return
	}
	ctx, cancel := context.WithTimeout(to.life, left)
	defer cancel()
	work(ctx, to.door)
}

// arrive is the receiver's part.
func arrive[T any](ctx context.Context, p *peer, o *owner, do func(context.Context, *owner) (T, error), say func(result[T])) (answered bool) {
	to := o.process
	if _, gone := to.Gate.Pass(); gone != nil {
		return false
	}
	var r result[T]
	if own := to.Own.Epoch(); p.epoch > own {
		r.err = actors.NotOwner{Epoch: own}
	} else {
		r.value, r.err = do(ctx, o)
		r.err = translated(r.err, own)
	}
	if _, gone := to.Gate.Pass(); gone != nil {
		return false
	}
	back, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if to.world.hop(back, to.Name, p.from.Name) != nil {
		return false
	}
	say(r)
	return true
}

// translated is an error as it crosses between nodes: what has no name there is ErrUnavailable, and a node that is closing
// owns nothing.
func translated(err error, epoch uint64) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, actors.ErrClosing):
		return actors.NotOwner{Epoch: epoch}
	case errors.Is(err, actors.ErrNotOwner), errors.Is(err, actors.ErrExpired), errors.Is(err, actors.ErrFenced), errors.Is(err, actors.ErrBusy):
		return err
	}
	return fmt.Errorf("%w: %w", actors.ErrUnavailable, errors.New(err.Error()))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// owner is a process's Host as all others see it, with an eye on the leaders' work.
type owner struct {
	process *Process

	mu      sync.Mutex
	newest  reconcile.Token // of a survey
	entered time.Time
}

var _ actors.Owner = (*owner)(nil)

// Deliver implements actors.Owner.
func (o *owner) Deliver(ctx context.Context, e reconcile.Event) error {
	return o.process.Host.Deliver(ctx, e)
}

// Survey implements actors.Owner. An older leader's must fail, whether a newer one is known or has begun.
func (o *owner) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	known := o.process.seen.before(time.Now()).leader
	o.mu.Lock()
	if b.Leader.Compare(o.newest) > 0 && b.Leader.Compare(o.process.Own.Leader()) >= 0 {
		o.newest, o.entered = b.Leader, time.Now()
	}
	o.mu.Unlock()
	f, err := o.process.Host.Survey(ctx, b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && (b.Leader.Compare(known) < 0 || b.Leader.Compare(o.newest) < 0 && o.entered.Before(time.Now())) {
		o.process.world.History.Fault("%s: a survey of the leader %v was done; %v was known, and one of %v had begun", o.process.Name, b.Leader, known, o.newest)
	}
	return f, err
}

// Tend implements actors.Owner.
func (o *owner) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	known := o.process.seen.before(time.Now()).leader
	done, err := o.process.Host.Tend(ctx, t)
	if len(done.Orphans) > 0 && t.Leader.Compare(known) < 0 {
		o.process.world.History.Fault("%s: a cleanup of the leader %v took %q off the index; %v was known", o.process.Name, t.Leader, done.Orphans, known)
	}
	return done, err
}

// Names implements actors.Owner.
func (o *owner) Names(ctx context.Context) ([]string, error) { return o.process.Host.Names(ctx) }
