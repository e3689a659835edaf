package main

import (
	"context"
	"fmt"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// ownership answers the rooms' questions from the cluster's view. The rooms are wired before the cluster is open, since
// the cluster's tasks need them; until then nobody owns anything.
type ownership struct {
	opened context.Context // ends when the cluster is open
	open   func(*cluster.Node)
	node   *cluster.Node // set before opened ends
}

func newOwnership() *ownership {
	o := &ownership{}
	opened, end := context.WithCancel(context.Background())
	o.opened = opened
	o.open = func(n *cluster.Node) {
		o.node = n
		end()
	}
	return o
}

// wait returns once the cluster is open.
func (o *ownership) wait(ctx context.Context) error {
	select {
	case <-o.opened.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *ownership) cluster() (*cluster.Node, bool) {
	if o.opened.Err() == nil {
		return nil, false
	}
	return o.node, true
}

// Owner implements actors.Ownership.
func (o *ownership) Owner(room string) (actors.Place, error) {
	n, ok := o.cluster()
	if !ok {
		return actors.Place{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, cluster.ErrNotJoined)
	}
	if err := n.InContact(); err != nil {
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
	return actors.Place{Node: m.ID, Incarnation: m.Incarnation, Epoch: v.Epoch}
}

// Claim implements actors.Ownership.
func (o *ownership) Claim(room string, held reconcile.Claim) (reconcile.Claim, error) {
	n, ok := o.cluster()
	if !ok {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, cluster.ErrNotJoined)
	}
	if err := n.InContact(); err != nil {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, err)
	}
	s := n.Standing()
	if !s.Owns(room, s.Epoch) {
		return reconcile.Claim{}, actors.NotOwner{Epoch: s.Epoch}
	}
	if held.Generation == s.Generation && held.Incarnation == s.Incarnation && s.Owns(room, held.Epoch) {
		return held, nil
	}
	return reconcile.Claim{Generation: s.Generation, Epoch: s.Epoch, Incarnation: s.Incarnation}, nil
}

// Members implements actors.Ownership.
func (o *ownership) Members() []actors.Place {
	n, ok := o.cluster()
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
func (o *ownership) View() context.Context {
	n, ok := o.cluster()
	if !ok {
		return o.opened
	}
	return n.ViewContext()
}

// Epoch implements actors.Ownership.
func (o *ownership) Epoch() uint64 {
	n, ok := o.cluster()
	if !ok {
		return 0
	}
	return n.View().Epoch
}

// Leader implements actors.Ownership.
func (o *ownership) Leader() reconcile.Token {
	n, ok := o.cluster()
	if !ok {
		return reconcile.Token{}
	}
	return token(n.Standing().Token)
}

func token(t fsm.Token) reconcile.Token {
	return reconcile.Token{Generation: t.Generation, Index: t.Index}
}
