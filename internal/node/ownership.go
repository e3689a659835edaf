package node

import (
	"context"
	"fmt"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Ownership tells rooms and the router who owns a room, by the cluster's view. The owner of a room is determined by a hash over one committed
// view. A claim is kept only if this process has owned the room ever since. A node that is out of contact with the leader, or in a cluster that
// gives way to another, neither owns nor routes anything. The rooms are wired before the cluster is open, since its tasks need them; until then
// nobody owns anything.
type Ownership struct {
	opened context.Context // ends when the cluster is open
	end    context.CancelFunc
	node   *cluster.Node // set before opened ends
}

var _ actors.Ownership = (*Ownership)(nil)

// NewOwnership returns an Ownership whose cluster is not open yet.
func NewOwnership() *Ownership {
	o := &Ownership{}
	o.opened, o.end = context.WithCancel(context.Background())
	return o
}

// Open sets the cluster. It must be called once.
func (o *Ownership) Open(n *cluster.Node) {
	o.node = n
	o.end()
}

// Wait returns once the cluster is open, or with ctx's error.
func (o *Ownership) Wait(ctx context.Context) error {
	select {
	case <-o.opened.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cluster returns the cluster that Open has set; false before Open.
func (o *Ownership) Cluster() (*cluster.Node, bool) {
	if o.opened.Err() == nil {
		return nil, false
	}
	return o.node, true
}

// Owner implements actors.Ownership.
func (o *Ownership) Owner(room string) (actors.Place, error) {
	n, ok := o.Cluster()
	if !ok {
		return actors.Place{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, cluster.ErrNotJoined)
	}
	if err := n.MayOwn(); err != nil {
		return actors.Place{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, err)
	}
	view := n.View()
	m, ok := fsm.Owner(view, room)
	if !ok {
		return actors.Place{}, actors.NotOwner{Epoch: view.Epoch}
	}
	return place(m, view), nil
}

func place(m fsm.Member, v fsm.View) actors.Place {
	return actors.Place{Node: m.ID, Incarnation: m.Incarnation, Epoch: v.Epoch, Addr: m.NodeAddr}
}

// LeaderName returns the name of the node that leads, as far as this one knows; empty while none does.
func (o *Ownership) LeaderName() string {
	n, ok := o.Cluster()
	if !ok {
		return ""
	}
	return n.Leader()
}

// Claim implements actors.Ownership.
func (o *Ownership) Claim(room string, held reconcile.Claim) (reconcile.Claim, error) {
	n, ok := o.Cluster()
	if !ok {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, cluster.ErrNotJoined)
	}
	if err := n.MayOwn(); err != nil {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, err)
	}
	s := n.Fence()
	if !s.Owns(room, s.Epoch) {
		return reconcile.Claim{}, actors.NotOwner{Epoch: s.Epoch}
	}
	if held.Generation == s.Generation && held.Incarnation == s.Incarnation && s.Owns(room, held.Epoch) {
		return held, nil
	}
	return reconcile.Claim{Generation: s.Generation, Epoch: s.Epoch, Incarnation: s.Incarnation}, nil
}

// Members implements actors.Ownership.
func (o *Ownership) Members() []actors.Place {
	n, ok := o.Cluster()
	if !ok {
		return nil
	}
	view := n.View()
	var all []actors.Place
	for _, m := range view.Members {
		all = append(all, place(m, view))
	}
	return all
}

// View implements actors.Ownership.
func (o *Ownership) View() context.Context {
	n, ok := o.Cluster()
	if !ok {
		return o.opened
	}
	return n.ViewContext()
}

// Epoch implements actors.Ownership.
func (o *Ownership) Epoch() uint64 {
	n, ok := o.Cluster()
	if !ok {
		return 0
	}
	return n.View().Epoch
}

// Leader implements actors.Ownership.
func (o *Ownership) Leader() reconcile.Token {
	n, ok := o.Cluster()
	if !ok {
		return reconcile.Token{}
	}
	return n.Fence().Token
}
