package main

import (
	"context"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	owner "github.com/rollcallhq/rollcall/internal/ownership"
	"github.com/rollcallhq/rollcall/reconcile"
)

// ownership is the rooms' view of the cluster, with what the rest of the wiring asks of it.
type ownership struct {
	*owner.Ownership
	node *cluster.Node // set before wait returns
}

func newOwnership() *ownership { return &ownership{Ownership: owner.New()} }

func (o *ownership) open(n *cluster.Node) {
	o.node = n
	o.Open(n)
}

func (o *ownership) wait(ctx context.Context) error { return o.Wait(ctx) }

func (o *ownership) cluster() (*cluster.Node, bool) { return o.Cluster() }

func token(t fsm.Token) reconcile.Token { return owner.Token(t) }
