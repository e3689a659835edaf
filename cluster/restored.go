package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

const epochPath = peerPrefix + "epoch"

// claimed is an epoch of a generation, as Redis has it for a room or for the cluster.
type claimed struct {
	Generation uint64 `json:"generation"`
	Epoch      uint64 `json:"epoch"`
	// Lost reports that Redis had lost the generation, so that the leader did not find it as its term began.
	Lost bool `json:"lost,omitempty"`
}

// outranks reports whether the claim means that the leader with that state has to begin its term again.
func (c claimed) outranks(state fsm.State) bool {
	if c.Lost {
		return c.Generation > state.Generation
	}
	return c.Generation == state.Generation && c.Epoch > state.View.Epoch
}

// NoteEpoch reports to the leader an epoch in Redis that refuses this node. An epoch of the cluster's own generation that is above the
// leader's view means that this cluster's data was restored from an older copy, because every epoch comes from the log. The leader then
// begins its term again, with a higher generation. Any other epoch changes nothing.
func (n *Node) NoteEpoch(ctx context.Context, generation, epoch uint64) error {
	return n.report(ctx, claimed{Generation: generation, Epoch: epoch})
}

// NoteGeneration reports to the leader a generation that refuses this node and that Redis had lost. If it is later than the cluster's, the
// cluster's data was restored from an older copy while nothing in Redis showed it, and the leader begins its term again. The caller must have
// restored the generation in Redis. Do not report a generation that Redis has kept: it is another cluster's, and both would outbid each other.
func (n *Node) NoteGeneration(ctx context.Context, generation uint64) error {
	return n.report(ctx, claimed{Generation: generation, Lost: true})
}

func (n *Node) report(ctx context.Context, c claimed) error {
	if !c.outranks(n.fsm.State()) {
		return nil // this node's view is older, or it is another cluster's claim
	}
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
	if !c.outranks(n.fsm.State()) {
		return nil
	}
	n.mu.Lock()
	if !c.Lost && (c.Generation != n.refused.Generation || c.Epoch > n.refused.Epoch) {
		n.refused = c
	}
	n.mu.Unlock()
	select {
	case n.again <- struct{}{}:
	default: // a new begin is already requested
	}
	return nil
}

// highestEpoch returns the highest epoch of a generation in Redis, as far as this node knows.
func (n *Node) highestEpoch(ctx context.Context, generation uint64) uint64 {
	var highest uint64
	if n.cfg.Epoch != nil {
		recorded, err := n.cfg.Epoch(ctx, generation)
		if err != nil {
			n.log.Warn("Redis did not return the cluster's highest epoch; if the data in --data-dir was restored, that is noticed when Redis refuses the first room", "error", err)
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

// outrankRestored returns the generation for the term if ours is the newest in this Redis. It returns a higher one if this cluster's log is
// older than what the cluster has written, so that the claims from that time do not refuse the new ones. Call it only at the beginning of a
// term: otherwise two clusters would outbid each other.
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
		"Whether the schedule runs, and the last reports, are those of the older data",
		"generation", ours, "raised_to", next, "view_epoch", state.View.Epoch, "epoch_in_redis", highest)
	return next, nil
}
