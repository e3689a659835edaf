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
)

const (
	fitPath = peerPrefix + "fit"
	// fitEvery is how often a node looks at its health, and fitTimeout how long a look may take.
	fitEvery   = 500 * time.Millisecond
	fitTimeout = 500 * time.Millisecond
	// reachName is the part of its work that a node cannot do while no other reaches it.
	reachName = "reach"
)

// fitness is a node's answer about its health. Fit says that all went well at its last look. Older nodes send nothing else.
type fitness struct {
	Fit    bool    `json:"fit"`
	Report *report `json:"report,omitempty"`
}

// health is what a node knows of its own health.
type health struct {
	mu        sync.Mutex
	state     withdrawal
	unreached error // an ErrUnreached while no other node reaches this one
}

func (n *Node) answerFit(context.Context, []byte) (any, error) {
	if n.leaves.Load() {
		return fitness{}, nil
	}
	if n.cfg.Fit == nil && n.cfg.Reach == nil {
		return fitness{Fit: true}, nil
	}
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	r := n.health.state.report(time.Now())
	looks := n.health.state.looks
	return fitness{Fit: len(looks) > 0 && len(looks[len(looks)-1].failing) == 0, Report: &r}, nil
}

// watchHealth withdraws this node while part of its work lastingly fails here, and another node can do all that this one can and that
// part too: from the lead first, then from the view. While nobody can do better nothing moves.
func (n *Node) watchHealth(ctx context.Context) {
	for sleep(ctx, fitEvery) == nil {
		if err := n.judgeHealth(ctx, n.failing(ctx)); err != nil && ctx.Err() == nil {
			n.log.Warn("this node cannot work and could not withdraw yet", "err", err)
		}
	}
}

// failing is what of a member's work fails now.
func (n *Node) failing(ctx context.Context) Failing {
	var err error
	if n.cfg.Fit != nil {
		ctx, cancel := context.WithTimeout(ctx, fitTimeout)
		defer cancel()
		err = n.cfg.Fit(ctx)
	}
	failing := failingOf(err)
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	if n.health.unreached != nil {
		failing[reachName] = n.health.unreached
	}
	return failing
}

// judgeHealth takes one look into account and acts on it.
func (n *Node) judgeHealth(ctx context.Context, failing Failing) error {
	n.health.mu.Lock()
	state := &n.health.state
	state.note(look{at: time.Now(), failing: failing})
	returns, lasting := state.mayReturn(time.Now()), state.lasting()
	withdrawn := state.withdrawn()
	n.health.mu.Unlock()
	if returns {
		n.aside.Store(nil)
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

// betterPeers asks all other members, and returns those that can do more than this one.
func (n *Node) betterPeers(ctx context.Context, lasting Failing) map[raft.ServerID]bool {
	ctx, cancel := context.WithTimeout(ctx, 2*fitTimeout)
	defer cancel()
	var mu sync.Mutex
	better := map[raft.ServerID]bool{}
	var asked sync.WaitGroup
	for _, m := range n.fsm.State().View.Members {
		if m.ID == n.cfg.NodeID {
			continue
		}
		asked.Go(func() {
			var said fitness
			if n.peers.call(ctx, m.NodeAddr, fitPath, struct{}{}, &said) != nil {
				return
			}
			r := said.Report
			if r == nil && said.Fit {
				r = &report{Looks: leastLooks}
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

// giveLead hands the lead to a node that can do more. This one withdraws as a follower.
func (n *Node) giveLead(ctx context.Context, better map[raft.ServerID]bool, why error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	n.log.Warn("this node leads and cannot work, and another can: that one is to lead", "peers", slices.Sorted(maps.Keys(better)), "err", why)
	return n.handOverTo(ctx, func(s raft.Server) bool { return better[s.ID] })
}

// giveRooms takes this node out of the view until it has been well for long enough.
func (n *Node) giveRooms(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	n.health.mu.Lock()
	n.health.state.withdraw(time.Now())
	wait := n.health.state.wait
	n.health.mu.Unlock()
	n.log.Warn("this node cannot work, and another can: others own its rooms until it has worked for a while", "while", wait, "err", why)
	why = fmt.Errorf("stepped aside: %w", why)
	n.aside.Store(&why)
	_, err := n.commit(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: n.incarnation.Load()})
	if err != nil && !errors.Is(err, fsm.NotMember) {
		return err
	}
	for n.member(n.fsm.State().View) && sleep(ctx, pollReady) == nil {
	}
	return nil
}
