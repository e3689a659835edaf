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

// Remove removes a node from the view and from raft. It works on the leader only. If the node's process runs, it ends by itself. A leader
// that is asked to remove itself first hands over the leadership; the next leader must then be asked. Errors are ErrUnknownNode, ErrQuorum,
// ErrNoSuccessor, ErrNotLeader and ErrNoLeader.
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
	if err := n.configuring.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.configuring.Release(1)
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
		if err := keepsQuorum(all, raft.ServerID(id), n.silentServers(ctx, all)); err != nil {
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

// silentServers returns the raft servers that do not answer, that answer as a non-member, or that are shutting down. It asks them, because a
// leader whose term has just begun has not missed any heartbeat yet.
func (n *Node) silentServers(ctx context.Context, all []raft.Server) map[string]silence {
	ctx, cancel := context.WithTimeout(ctx, transportTimeout)
	defer cancel()
	silent := maps.Clone(n.silentNodes())
	if silent == nil {
		silent = map[string]silence{}
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
			silent[string(s.ID)] = silence{told: time.Now()}
		})
	}
	asked.Wait()
	return silent
}

// recordSilent records the silent nodes, as the leader sees them, for silentServers.
func (n *Node) recordSilent(silent map[string]silence) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = maps.Clone(silent)
}

func (n *Node) silentNodes() map[string]silence {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent
}
