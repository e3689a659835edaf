package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/raft"
)

const epochPath = peerPrefix + "epoch"

// claimed is an epoch that Redis has of a room, or of the cluster, in a generation.
type claimed struct {
	Generation uint64 `json:"generation"`
	Epoch      uint64 `json:"epoch"`
}

// NoteEpoch tells the leader of an epoch that stands in Redis and refuses this node. One of the cluster's own generation that is above the
// leader's view was given before this cluster's data was restored from an older copy, since every epoch comes from the log: the leader begins
// its term again, with a higher generation. Any other epoch changes nothing.
func (n *Node) NoteEpoch(ctx context.Context, generation, epoch uint64) error {
	here := n.fsm.State()
	if generation != here.Generation || epoch <= here.View.Epoch {
		return nil // a newer view is on its way, or another cluster's claim
	}
	c := claimed{Generation: generation, Epoch: epoch}
	if n.raft.State() == raft.Leader || n.peers == nil {
		return n.noteEpoch(c)
	}
	leader := n.leader()
	if leader.ID == "" {
		return ErrNoLeader
	}
	return n.peers.call(ctx, leader.Addr, epochPath, c, nil)
}

func (n *Node) answerEpoch(_ context.Context, body []byte) (any, error) {
	var c claimed
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("read the epoch: %w", err)
	}
	return struct{}{}, n.noteEpoch(c)
}

func (n *Node) noteEpoch(c claimed) error {
	if !n.established() {
		return n.noTerm()
	}
	if state := n.fsm.State(); c.Generation != state.Generation || c.Epoch <= state.View.Epoch {
		return nil
	}
	n.mu.Lock()
	if c.Generation != n.refused.Generation || c.Epoch > n.refused.Epoch {
		n.refused = c
	}
	n.mu.Unlock()
	select {
	case n.again <- struct{}{}:
	default: // it is to begin again already
	}
	return nil
}

// highestEpoch is the highest epoch of a generation that Redis has, as far as this node knows.
func (n *Node) highestEpoch(ctx context.Context, generation uint64) uint64 {
	var highest uint64
	if n.cfg.Epoch != nil {
		recorded, err := n.cfg.Epoch(ctx, generation)
		if err != nil {
			n.log.Warn("Redis does not tell the cluster's highest epoch; if the data in --data-dir was restored, that is noticed by the first room that is refused", "err", err)
		}
		highest = recorded
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refused.Generation == generation {
		highest = max(highest, n.refused.Epoch)
	}
	return highest
}

// outrankRestored returns the generation that the term is to have, where ours is the newest on this Redis: a higher one if this cluster's log
// lies behind what it has done already, so that the claims of that time do not refuse those of now. Only a term's begin may ask: two
// clusters would outbid each other.
func (n *Node) outrankRestored(ctx context.Context, ours uint64) (uint64, error) {
	state := n.fsm.State()
	highest := n.highestEpoch(ctx, ours)
	if highest <= state.View.Epoch {
		return ours, nil
	}
	next, err := n.cfg.Generation(ctx, 0)
	if err != nil {
		return 0, err
	}
	next = max(next, ours+1)
	n.log.Warn("the data in --data-dir is older than what this cluster has written to Redis: it was restored from a backup, or the disk has lost writes. "+
		"The generation is raised, so that all rooms can be claimed again; the next sync repairs what was missed. "+
		"The service switch and the last reports are those of the older data",
		"generation", ours, "raised_to", next, "view_epoch", state.View.Epoch, "epoch_in_redis", highest)
	return next, nil
}
