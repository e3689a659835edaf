package node

import (
	"context"
	"errors"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/reconcile"
)

// generation returns ours if the store has seen no later generation. For a new cluster, and for a node that starts after another rollcall was
// founded on its store, it returns a generation above all that the store has seen.
func (n *Node) generation(ctx context.Context, ours uint64) (uint64, error) {
	stored, err := n.config.Store.Generation(ctx)
	if err != nil {
		return 0, err
	}
	if ours != 0 && stored <= ours {
		return ours, nil
	}
	if ours != 0 {
		n.config.Log.Warn("another rollcall was founded on this Redis since; this node takes its rooms over. If the other still runs, stop it")
	}
	next := max(stored+1, uint64(time.Now().UnixMilli()))
	// Before any claim has it: a claim above what the store has then shows that the store has lost data. See lookIntoRefusal.
	if err := n.config.Store.RaiseGeneration(ctx, next); err != nil {
		n.config.Log.Debug("the generation is not in Redis yet; it is tried again", "error", err)
	}
	return next, nil
}

// restoreGeneration writes this cluster's generation and epoch to the store, but not in a dry run. If the store has a higher generation, it keeps
// that one, and restoreGeneration logs an error: another rollcall has been founded on the store since, and its rooms refuse this one permanently.
func (n *Node) restoreGeneration(ctx context.Context, term cluster.Term, o reconcile.Options) {
	ours, err := term.Token.Generation, error(nil)
	if !o.DryRun {
		err = n.config.Store.RaiseGeneration(ctx, ours)
		if err == nil {
			err = n.config.Store.RaiseEpoch(ctx, ours, n.Ownership.Epoch())
		}
	}
	stands := uint64(0)
	if err == nil {
		stands, err = n.config.Store.Generation(ctx)
	}
	if err != nil {
		n.config.Log.Debug("the generation is not in Redis; the next sync tries again", "error", err)
	}
	if stands > ours {
		n.config.Log.Error("another rollcall was founded on this Redis after this one, and its rooms refuse this one: "+
			"stop the other, then restart this one, which takes the rooms over", "ours", ours, "theirs", stands)
	}
}

// epochEvery is how often the leader writes its epoch to the store. It also does so at each change of the view.
const epochEvery = 5 * time.Second

// recordEpochs keeps the generation and the epoch of the view in the store while this node leads, because the store may lose them. They show a
// leader whose own are older that its data was restored from an older copy.
func (n *Node) recordEpochs(ctx context.Context) {
	for ctx.Err() == nil {
		view := n.Ownership.View()
		if now := n.Cluster.Status(); now.Established && now.Epoch != 0 {
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

func (n *Node) recordEpoch(ctx context.Context, generation, epoch uint64) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := errors.Join(n.config.Store.RaiseGeneration(ctx, generation), n.config.Store.RaiseEpoch(ctx, generation, epoch)); err != nil {
		n.config.Log.Debug("the generation or the epoch is not in Redis; it is tried again", "error", err)
	}
}

// refusal is a room's claim that was refused because of a newer owner.
type refusal struct {
	room  string
	claim reconcile.Claim
}

// claimStore is the store that rooms use. It also sends the claims that are refused to a channel.
type claimStore struct {
	Store
	refused chan<- refusal
}

// Claim implements actors.Store.
func (s *claimStore) Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error) {
	record, err := s.Store.Claim(ctx, room, claim)
	if errors.Is(err, reconcile.StaleOwner) {
		select {
		case s.refused <- refusal{room, claim}:
		default: // one at a time suffices: what refuses one room refuses others
		}
	}
	return record, err
}

// lookIntoRefusals reports to the leader the claims that are newer than this cluster's data.
func (n *Node) lookIntoRefusals(ctx context.Context) {
	for {
		select {
		case r := <-n.refused:
			if err := n.lookIntoRefusal(ctx, r); err != nil {
				n.config.Log.Debug("a refused claim was not looked into; the next one is", "room", r.room, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// lookIntoRefusal reports a refused claim to the leader if it shows that this cluster's data was restored. If the room's claim is of a later
// generation, that is so only if the store has lost that generation since: otherwise the leader found it as its term began, or another rollcall
// has been founded since.
func (n *Node) lookIntoRefusal(ctx context.Context, r refusal) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stands, err := n.config.Store.Claimed(ctx, r.room)
	if err != nil || stands.Generation < r.claim.Generation {
		return err
	}
	if stands.Generation == r.claim.Generation {
		return n.Cluster.NoteEpoch(ctx, stands.Generation, stands.Epoch)
	}
	recorded, err := n.config.Store.Generation(ctx)
	if err != nil || recorded >= stands.Generation {
		return err
	}
	if err := n.config.Store.RaiseGeneration(ctx, stands.Generation); err != nil {
		return err
	}
	return n.Cluster.NoteGeneration(ctx, stands.Generation)
}
