package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	reachPath = peerPrefix + "reach"
	// reachEvery is the time between two checks of a node that others reach. A node that others do not reach checks every healthEvery.
	reachEvery = 2 * time.Second
	// reachTimeout limits another node's attempt to reach this one.
	reachTimeout = 1500 * time.Millisecond
)

// reached is a node's answer to the question whether its requests reach the node that asks.
type reached struct {
	OK  bool   `json:"ok"`
	Why string `json:"why,omitempty"`
}

func (n *Node) answerReach(ctx context.Context, body []byte) (any, error) {
	var asker server
	if err := json.Unmarshal(body, &asker); err != nil {
		return nil, fmt.Errorf("read the asker: %w", err)
	}
	if n.cfg.Reach == nil {
		return nil, errors.New("this node sends no requests")
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := n.cfg.Reach(ctx, asker.Addr); err != nil {
		return reached{Why: err.Error()}, nil
	}
	return reached{OK: true}, nil
}

// reachability is what a node knows about whether others reach it.
type reachability struct {
	last time.Time // when another node last said that it reaches this one
	why  error     // an ErrUnreached after two checks in a row in which others say no and none says yes
	bad  int       // the number of such checks in a row
}

// watchReach regularly checks whether other nodes reach this one, and records the result for the health checks.
func (n *Node) watchReach(ctx context.Context) {
	for r := (&reachability{}); wait.For(ctx, healthEvery) == nil; {
		why := r.try(ctx, n)
		n.health.mu.Lock()
		n.health.unreached = why
		n.health.mu.Unlock()
	}
}

// try returns an ErrUnreached if other members answer and none of them reaches this node. It returns nil if none answers: raft handles a node
// that is cut off in both directions.
func (r *reachability) try(ctx context.Context, n *Node) error {
	if n.cfg.Reach == nil || n.peers == nil || r.bad == 0 && time.Since(r.last) < reachEvery {
		return nil
	}
	ok, why := n.askReached(ctx)
	if ok {
		r.last = time.Now()
	}
	if why == "" {
		r.bad, r.why = 0, nil
		return nil
	}
	if r.bad++; r.bad >= 2 {
		r.why = fmt.Errorf("%w at %s: check --node-advertise, and that the network lets the other nodes connect to that port; %s",
			ErrUnreached, n.endpoint.addr, why)
	}
	return r.why
}

// askReached asks all other members at once whether they reach this node, and returns as soon as one says yes. why is the reason that one of
// the others gave; it is empty if none answered.
func (n *Node) askReached(ctx context.Context) (ok bool, why string) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout+transportTimeout)
	defer cancel()
	members, asked := n.fsm.State().View.Members, 0
	answers := make(chan string, len(members))
	for _, m := range members {
		if m.ID == n.cfg.NodeID {
			continue
		}
		asked++
		go func() {
			var said reached
			switch err := n.peers.call(ctx, m.NodeAddr, reachPath, n.self(), &said); {
			case err != nil:
				answers <- ""
			case said.OK:
				answers <- reachesUs
			default:
				answers <- fmt.Sprintf("node %q says: %s", m.ID, said.Why)
			}
		}()
	}
	for range asked {
		switch answer := <-answers; answer {
		case reachesUs:
			return true, ""
		case "":
		default:
			why = answer
		}
	}
	return false, why
}

// reachesUs is the answer of a node that reaches this one.
const reachesUs = "yes"

// maySucceed reports whether another node could lead without this node's vote. A successor that does not reach this node cannot get its vote.
// If the vote is needed, this node keeps the leadership and gives up its rooms only.
func (n *Node) maySucceed(ctx context.Context, why error) bool {
	if !errors.Is(why, ErrUnreached) {
		return true
	}
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return false
	}
	all := servers.Configuration().Servers
	return keepsQuorum(all, raft.ServerID(n.cfg.NodeID), n.silentServers(ctx, all)) == nil
}
