package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// ownership answers the rooms' questions from the cluster's view. The rooms are wired before the cluster is open, since
// the cluster's tasks need them; until then nobody owns anything.
type ownership struct {
	opened chan struct{}
	node   *cluster.Node // set before opened is closed
}

func newOwnership() *ownership { return &ownership{opened: make(chan struct{})} }

func (o *ownership) open(n *cluster.Node) {
	o.node = n
	close(o.opened)
}

// wait returns once the cluster is open.
func (o *ownership) wait(ctx context.Context) error {
	select {
	case <-o.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *ownership) cluster() (*cluster.Node, bool) {
	select {
	case <-o.opened:
		return o.node, true
	default:
		return nil, false
	}
}

// Owner implements actors.Ownership.
func (o *ownership) Owner(room string) (string, error) {
	n, ok := o.cluster()
	if !ok {
		return "", cluster.ErrNotJoined
	}
	member, _, _, err := n.Owner(room)
	return member.ID, err
}

// Claim implements actors.Ownership.
func (o *ownership) Claim(room string) (reconcile.Claim, error) {
	n, ok := o.cluster()
	if !ok {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrNotOwner, cluster.ErrNotJoined)
	}
	_, epoch, self, err := n.Owner(room)
	switch {
	case err != nil:
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrNotOwner, err)
	case !self:
		return reconcile.Claim{}, actors.ErrNotOwner
	}
	s := n.Standing()
	if err := inContact(s.SinceContact); err != nil {
		return reconcile.Claim{}, fmt.Errorf("%w: %w", actors.ErrNotOwner, err)
	}
	return reconcile.Claim{Generation: s.Generation, Epoch: epoch, Incarnation: s.Incarnation}, nil
}

// outOfContact is how long a node without its leader may still believe its view. After that others may own its rooms.
const outOfContact = 3 * time.Second

func inContact(since time.Duration) error {
	if since < 0 || since > outOfContact {
		return errors.New("out of contact with the leader")
	}
	return nil
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
