package sim

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

// newPeers is the process's way to the others: internal/rpc itself, over the network in memory.
func (p *Process) newPeers() *rpc.Peers {
	return rpc.New(rpc.Config{Node: p.Name, Host: &served{p.door}, Epoch: p.Own.Epoch, Owner: p.Own.Owner, Members: p.Own.Members, Leader: p.Own.LeaderName,
		Log: p.log, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			n, ok := p.Own.Cluster()
			if !ok {
				return nil, cluster.ErrNotJoined
			}
			return n.DialRPC(ctx, addr)
		}})
}

// peer is another node, over a network that now and then also brings a delivery twice, the second one late: as a request does
// that was sent again because its answer was lost.
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
			if pause(p.from.life, time.Duration(w.Dice.N("late copy", 15000))*time.Millisecond) == nil {
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

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// served is a process's rooms as other nodes reach them: while it is paused, or once it is killed, it does nothing.
type served struct{ *owner }

// Deliver implements actors.Owner.
func (s *served) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := through(s, func() (struct{}, error) { return struct{}{}, s.owner.Deliver(ctx, e) })
	return err
}

// Survey implements actors.Owner.
func (s *served) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	return through(s, func() (actors.Findings, error) { return s.owner.Survey(ctx, b) })
}

// Tend implements actors.Owner.
func (s *served) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	return through(s, func() (actors.Tended, error) { return s.owner.Tend(ctx, t) })
}

func through[T any](s *served, do func() (T, error)) (T, error) {
	var none T
	gate := &s.process.Gate
	if _, gone := gate.Pass(); gone != nil {
		return none, gone
	}
	v, err := do()
	if _, gone := gate.Pass(); gone != nil {
		return none, gone
	}
	return v, err
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
