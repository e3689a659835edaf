package cluster

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// Remove takes a node out of the cluster for good, on the leader: out of the view, out of raft, and its process, if it
// runs, ends by itself. A leader that is to go hands over first, and the next leader must be asked. Errors:
// ErrUnknownNode, ErrQuorum, ErrNoHeir, ErrNotLeader, ErrNoLeader.
func (n *Node) Remove(ctx context.Context, id string) error {
	if id == n.cfg.NodeID {
		if err := n.handOver(ctx); err != nil {
			return err
		}
		return n.noTerm()
	}
	return n.Lead(ctx, func(ctx context.Context, _ Term) error { return n.remove(ctx, id) })
}

func (n *Node) remove(ctx context.Context, id string) error {
	if err := n.configuring.take(ctx); err != nil {
		return err
	}
	defer n.configuring.give()
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	all, known, voter := servers.Configuration().Servers, false, false
	for _, s := range all {
		if string(s.ID) == id {
			known, voter = true, s.Suffrage == raft.Voter
		}
	}
	if _, member := n.fsm.State().View.Member(id); !known && !member {
		return fmt.Errorf("%w: %q", ErrUnknownNode, id)
	}
	if voter {
		if err := bears(all, raft.ServerID(id), n.quietNow(ctx, all)); err != nil {
			return err
		}
	}
	if _, err := n.Apply(ctx, fsm.Remove{ID: id}); err != nil {
		return err
	}
	n.log.Info("a node was removed by hand", "peer", id)
	if !known {
		return nil
	}
	return n.raftError(n.raft.RemoveServer(raft.ServerID(id), servers.Index(), applyTimeout).Error())
}

// quietNow are the servers that do not answer as a node that is of this cluster and stays. A leader whose term has just begun has not missed
// anybody's heartbeat yet, so they are asked.
func (n *Node) quietNow(ctx context.Context, all []raft.Server) map[string]quiet {
	ctx, cancel := context.WithTimeout(ctx, transportTimeout)
	defer cancel()
	silent := maps.Clone(n.silentNodes())
	if silent == nil {
		silent = map[string]quiet{}
	}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, s := range all {
		if s.ID == raft.ServerID(n.cfg.NodeID) {
			continue
		}
		asked.Go(func() {
			h, err := n.ask(ctx, string(s.Address))
			if err == nil && h.ID == string(s.ID) && !h.Fresh && !h.Leaving {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			silent[string(s.ID)] = quiet{told: time.Now()}
		})
	}
	asked.Wait()
	return silent
}

// tellSilent keeps who is silent, as the leader sees it, for Status and Remove.
func (n *Node) tellSilent(silent map[string]quiet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = maps.Clone(silent)
}

func (n *Node) silentNodes() map[string]quiet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent
}
