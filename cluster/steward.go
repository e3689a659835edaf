package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// stewardTick is how often the leader looks at who is silent.
const stewardTick = 100 * time.Millisecond

// quiet is a node's silence, as the leader's heartbeats tell it.
type quiet struct {
	since time.Time // the last contact
	told  time.Time // the last heartbeat that failed
}

// lasts tells whether heartbeats still fail: a node that was taken in anew begins without a word of the old silence's end.
func (q quiet) lasts() bool { return time.Since(q.told) < 3*transportTimeout }

// steward is the leader's care for the membership, for one term: who is silent leaves the view, who has been for long
// leaves raft, and as many vote as makes sense.
type steward struct {
	node *Node
	// heard is, by id, when a node was heard of before the term: the last leader's silence began with its death.
	heard  map[string]time.Time
	silent map[string]quiet
	began  time.Time // the term
}

// tend runs until ctx, which is the term's, ends.
func (s *steward) tend(ctx context.Context) {
	r := s.node.raft
	seen := make(chan raft.Observation, 256)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation:
			return true
		}
		return false
	})
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)
	defer s.node.tellSilent(nil)
	s.began = time.Now()
	tick := time.NewTicker(stewardTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-seen:
			s.note(o)
		case <-tick.C:
			s.look(ctx)
		}
	}
}

func (s *steward) note(o raft.Observation) {
	switch o := o.Data.(type) {
	case raft.FailedHeartbeatObservation:
		id, since := string(o.PeerID), o.LastContact
		if before, ok := s.heard[id]; ok && before.Before(since) {
			since = before
		}
		s.silent[id] = quiet{since: since, told: time.Now()}
	case raft.ResumedHeartbeatObservation:
		delete(s.silent, string(o.PeerID))
		delete(s.heard, string(o.PeerID))
	}
}

func (s *steward) look(ctx context.Context) {
	n := s.node
	n.sinceContact() // for the time after the term
	maps.DeleteFunc(s.silent, func(_ string, q quiet) bool { return !q.lasts() })
	n.tellSilent(s.silent)
	for _, m := range n.fsm.State().View.Members {
		silence := s.silence(m.ID)
		if m.ID == n.cfg.NodeID || silence < silentAfter {
			continue
		}
		n.log.Warn("a node is silent and leaves the view: others own its rooms until it is back", "peer", m.ID, "silent", silence.Round(time.Millisecond))
		if _, err := n.Apply(ctx, fsm.Leave{ID: m.ID, Incarnation: m.Incarnation}); err != nil && ctx.Err() == nil {
			n.log.Warn("a silent node is still in the view", "peer", m.ID, "err", err)
		}
	}
	if err := s.configure(); err != nil && ctx.Err() == nil {
		n.log.Warn("raft's configuration is not as it should be yet", "err", err)
	}
}

// silence is for how long a node has said nothing. Who has just asked to join has said something: the heartbeats that fail until
// raft's next attempt are of the silence before. Who asks, and still is not heard, is silent all the same.
func (s *steward) silence(id string) time.Duration {
	q, silent := s.silent[id]
	if !silent {
		return 0
	}
	since := q.since
	if asked := s.node.askedToJoin(id); asked.After(since) && time.Since(asked) < rejoinGrace {
		since = asked
	}
	return time.Since(since)
}

// configure makes at most one change to raft's configuration.
func (s *steward) configure() error {
	n := s.node
	if !n.configuring.try() {
		return nil // a join is under way
	}
	defer n.configuring.give()
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	all, index := servers.Configuration().Servers, servers.Index()
	if id, ok := s.dead(all); ok {
		n.log.Warn("a node has been silent for longer than --dead-after and is removed", "peer", id, "after", n.cfg.DeadAfter)
		return n.raft.RemoveServer(id, index, applyTimeout).Error()
	}
	if server, wrong := nextAddress(all, n.addressNow); wrong {
		n.log.Info("a node has another node address", "peer", server.ID, "to", n.link.reachable(server.Address))
		return n.readdress(server, index)
	}
	return s.changeVote(all, index)
}

// changeVote makes the next change to who votes, if there is one.
func (s *steward) changeVote(all []raft.Server, index uint64) error {
	n := s.node
	change := nextVoteChange(raft.ServerID(n.cfg.NodeID), s.candidates(all))
	if change.id == "" {
		return nil
	}
	if !change.promote {
		n.log.Info("a node votes no more: it is gone and another one gets its vote, or an even number of voters would tolerate no more failures than one less",
			"peer", change.id)
		return n.raft.DemoteVoter(change.id, index, applyTimeout).Error()
	}
	i := slices.IndexFunc(all, func(server raft.Server) bool { return server.ID == change.id })
	n.log.Info("a node votes from now on", "peer", change.id)
	return n.raft.AddVoter(change.id, all[i].Address, index, applyTimeout).Error()
}

// candidates are the servers as this term's heartbeats tell of them. In the first moments of a term they have not told of all
// yet, so nobody is gone then.
func (s *steward) candidates(all []raft.Server) []candidate {
	settled := time.Since(s.began) > 2*transportTimeout
	return s.node.candidates(all, s.silent, func(id string) bool {
		return settled && (s.silence(id) >= goneAfter || s.node.hasLeft(id))
	})
}

// dead is a server to be removed for its silence. Of the voters so many must stay, and answer, that they can lose as
// many as are gone.
func (s *steward) dead(all []raft.Server) (raft.ServerID, bool) {
	for _, server := range all {
		if s.node.cfg.DeadAfter == 0 || s.silence(string(server.ID)) < s.node.cfg.DeadAfter {
			continue
		}
		if server.Suffrage != raft.Voter || bears(all, server.ID, s.silent) == nil {
			return server.ID, true
		}
	}
	return "", false
}

// bears is nil when the voters without that one still have a quorum that answers.
func bears(all []raft.Server, without raft.ServerID, silent map[string]quiet) error {
	voters, answer := 0, 0
	for _, server := range all {
		if server.ID == without || server.Suffrage != raft.Voter {
			continue
		}
		voters++
		if _, quiet := silent[string(server.ID)]; !quiet {
			answer++
		}
	}
	if voters == 0 || answer < voters/2+1 {
		return fmt.Errorf("%w: %d of %d", ErrQuorum, answer, voters)
	}
	return nil
}
