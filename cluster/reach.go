package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	reachPath = peerPrefix + "reach"
	// reachEvery is how often a node that is reached asks again. One that is not asks with each look at its health.
	reachEvery = 2 * time.Second
	// reachTimeout bounds another node's attempt.
	reachTimeout = 1500 * time.Millisecond
)

// reached is a node's answer to whether requests from it reach the asker.
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

// reachability is what a node knows of whether others reach it.
type reachability struct {
	last time.Time // when another node last said that it does
	why  error     // an ErrUnreached after two rounds in a row in which others say so and nobody says otherwise
	bad  int       // such rounds in a row
}

// watchReach keeps what others say of whether they reach this node.
func (n *Node) watchReach(ctx context.Context) {
	for r := (&reachability{}); sleep(ctx, fitEvery) == nil; {
		why := r.try(ctx, n)
		n.health.mu.Lock()
		n.health.unreached = why
		n.health.mu.Unlock()
	}
}

// try is an ErrUnreached when other members answer, and none of them reaches this node. While none answers it is nil: a node
// that is cut off in both directions is raft's business.
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
			ErrUnreached, n.link.addr, why)
	}
	return r.why
}

// askReached asks all other members at once whether they reach this node, and does not wait for the rest once one says so.
// Why is what one of them says that does not; empty where none answers.
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

// reachesUs stands for a node that does.
const reachesUs = "yes"

// maySucceed tells whether another node could lead without this one's vote. A successor that does not reach this node cannot
// have it; where it is needed, this node goes on leading and gives away its rooms alone.
func (n *Node) maySucceed(ctx context.Context, why error) bool {
	if !errors.Is(why, ErrUnreached) {
		return true
	}
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return false
	}
	all := servers.Configuration().Servers
	return bears(all, raft.ServerID(n.cfg.NodeID), n.quietNow(ctx, all)) == nil
}
