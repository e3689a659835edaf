package main

import (
	"context"
	"errors"
	"time"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// epochEvery is how often the leader tells Redis of its epoch, beside each change of the view.
const epochEvery = 5 * time.Second

// recordEpochs keeps in Redis, while this node leads, the epoch of the view: a leader whose own view is older knows by it that its data
// was restored from an older copy.
func (n *daemon) recordEpochs(ctx context.Context) {
	for ctx.Err() == nil {
		view := n.own.View()
		if now := n.cluster.Status(); now.Established && now.Epoch != 0 {
			n.recordEpoch(ctx, now.Generation, now.Epoch)
		}
		wait := time.NewTimer(epochEvery)
		select {
		case <-view.Done():
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

func (n *daemon) recordEpoch(ctx context.Context, generation, epoch uint64) {
	ctx, cancel := context.WithTimeout(ctx, choreTimeout)
	defer cancel()
	if err := n.store.RaiseEpoch(ctx, generation, epoch); err != nil {
		n.log.Debug("the epoch is not in Redis; it is tried again", "error", err)
	}
}

// refusal is a room's claim that a newer owner refused.
type refusal struct {
	room  string
	claim reconcile.Claim
}

// claims is the store as rooms use it. It passes on the claims that are refused.
type claims struct {
	*redisstore.Store
	refusals chan<- refusal
}

// Claim implements actors.Store.
func (c *claims) Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error) {
	record, err := c.Store.Claim(ctx, room, claim)
	if errors.Is(err, reconcile.StaleOwner) {
		select {
		case c.refusals <- refusal{room, claim}:
		default: // one at a time suffices: what refuses one room refuses others
		}
	}
	return record, err
}

// lookIntoRefusals tells the leader of claims that are newer than this cluster's data.
func (n *daemon) lookIntoRefusals(ctx context.Context) {
	for {
		select {
		case r := <-n.refusals:
			if err := n.lookIntoRefusal(ctx, r); err != nil {
				n.log.Debug("a refused claim was not looked into; the next one is", "room", r.room, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (n *daemon) lookIntoRefusal(ctx context.Context, r refusal) error {
	ctx, cancel := context.WithTimeout(ctx, choreTimeout)
	defer cancel()
	generation, epoch, err := n.store.Claimed(ctx, r.room)
	if err != nil || generation != r.claim.Generation {
		return err
	}
	return n.cluster.NoteEpoch(ctx, generation, epoch)
}
