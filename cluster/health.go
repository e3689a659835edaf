package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	// healthPath has an older name, which other builds ask for.
	healthPath = peerPrefix + "fit"
	// healthEvery is the time between two health checks of a node, and healthTimeout limits each of them.
	healthEvery   = 500 * time.Millisecond
	healthTimeout = 500 * time.Millisecond
	// reachName names the part of a node's work that fails while no other node reaches it.
	reachName = "reach"
)

// healthAnswer is a node's answer about its health. Healthy is true if its last health check found nothing failing. Its JSON name is older, and
// other builds read it. Older nodes send only Healthy.
type healthAnswer struct {
	Healthy bool    `json:"fit"`
	Report  *report `json:"report,omitempty"`
}

// health is what a node knows about its own health.
type health struct {
	mu        sync.Mutex
	state     withdrawal
	unreached error // an ErrUnreached while no other node reaches this one
}

func (n *Node) answerHealth(context.Context, []byte) (any, error) {
	if n.leaves.Load() {
		return healthAnswer{}, nil
	}
	if n.cfg.Health == nil && n.cfg.Reach == nil {
		return healthAnswer{Healthy: true}, nil
	}
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	r := n.health.state.report(time.Now())
	checks := n.health.state.checks
	return healthAnswer{Healthy: len(checks) > 0 && len(checks[len(checks)-1].failing) == 0, Report: &r}, nil
}

// watchHealth withdraws this node while part of its work lastingly fails and another node can do that part and everything else that this node
// can do. The node gives up the leadership first, then leaves the view. While no other node is better, it stays.
func (n *Node) watchHealth(ctx context.Context) {
	for wait.For(ctx, healthEvery) == nil {
		if err := n.judgeHealth(ctx, n.failing(ctx)); err != nil && ctx.Err() == nil {
			n.log.Warn("this node cannot work and could not withdraw yet", "error", err)
		}
	}
}

// failing returns the parts of a member's work that fail now.
func (n *Node) failing(ctx context.Context) Failing {
	var err error
	if n.cfg.Health != nil {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		err = n.cfg.Health(ctx)
	}
	failing := failingOf(err)
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	if n.health.unreached != nil {
		failing[reachName] = n.health.unreached
	}
	return failing
}

// judgeHealth records the result of one health check and acts on it.
func (n *Node) judgeHealth(ctx context.Context, failing Failing) error {
	n.health.mu.Lock()
	state := &n.health.state
	state.add(healthCheck{at: time.Now(), failing: failing})
	returns, lasting := state.mayReturn(time.Now()), state.lasting()
	withdrawn := state.withdrawn()
	n.health.mu.Unlock()
	if returns {
		n.withdrawn.Store(nil)
		n.log.Info("this node can work again, and joins")
	}
	leads, member := n.raft.State() == raft.Leader, n.member(n.fsm.State().View)
	if lasting == nil || withdrawn && !leads && !member {
		return nil
	}
	better := n.betterPeers(ctx, lasting)
	switch {
	case len(better) == 0:
		return nil
	case leads && n.maySucceed(ctx, lasting):
		return n.giveLead(ctx, better, lasting)
	case member:
		return n.giveRooms(ctx, lasting)
	}
	return nil
}

// betterPeers asks all other members and returns the ids of those that can do more than this node.
func (n *Node) betterPeers(ctx context.Context, lasting Failing) map[raft.ServerID]bool {
	ctx, cancel := context.WithTimeout(ctx, 2*healthTimeout)
	defer cancel()
	var mu sync.Mutex
	better := map[raft.ServerID]bool{}
	var asked sync.WaitGroup
	for _, m := range n.fsm.State().View.Members {
		if m.ID == n.cfg.NodeID {
			continue
		}
		asked.Go(func() {
			var said healthAnswer
			if n.peers.call(ctx, m.NodeAddr, healthPath, struct{}{}, &said) != nil {
				return
			}
			r := said.Report
			if r == nil && said.Healthy {
				r = &report{Checks: leastChecks}
			}
			if r != nil && r.betterThan(lasting) {
				mu.Lock()
				defer mu.Unlock()
				better[raft.ServerID(m.ID)] = true
			}
		})
	}
	asked.Wait()
	return better
}

// giveLead hands the leadership to one of the better nodes. This node then withdraws as a follower.
func (n *Node) giveLead(ctx context.Context, better map[raft.ServerID]bool, why error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	n.log.Warn("this node leads and cannot work, and another can: handing over the leadership", "peers", slices.Sorted(maps.Keys(better)), "error", why)
	return n.handOverTo(ctx, func(s raft.Server) bool { return better[s.ID] })
}

// giveRooms withdraws this node from the view until it has been healthy for long enough.
func (n *Node) giveRooms(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	n.health.mu.Lock()
	n.health.state.withdraw(time.Now())
	backoff := n.health.state.wait
	n.health.mu.Unlock()
	n.log.Warn("this node cannot work, and another can: others own its rooms until it has worked for a while", "while", backoff, "error", why)
	why = fmt.Errorf("withdrawn: %w", why)
	n.withdrawn.Store(&why)
	_, err := n.commit(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: n.incarnation.Load()})
	if err != nil && !errors.Is(err, fsm.NotMember) {
		return err
	}
	for n.member(n.fsm.State().View) && wait.For(ctx, pollReady) == nil {
	}
	return nil
}
