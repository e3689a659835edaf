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

// membershipTick is how often the leader checks which nodes are silent.
const membershipTick = 100 * time.Millisecond

// silence is the silence of a node, according to the leader's heartbeats.
type silence struct {
	since time.Time // the time of the last contact
	told  time.Time // the time of the last heartbeat that failed
}

// lasts reports whether heartbeats still fail. When a node is removed and added again, raft does not report the end of its old silence.
func (q silence) lasts() bool { return time.Since(q.told) < 3*transportTimeout }

// membership keeps the view and raft's configuration up to date on the leader, for one term. A silent node leaves the view. A node that is silent
// for longer than --dead-after is removed from raft. Votes are given and taken so that the cluster tolerates as many failures as possible.
type membership struct {
	node *Node
	// heard has, by id, when a node was last heard from before the term. The previous leader's silence began with its death.
	heard  map[string]time.Time
	silent map[string]silence
	began  time.Time // when the term began
}

// run runs until ctx, which is the term's, ends.
func (s *membership) run(ctx context.Context) {
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
	defer s.node.recordSilent(nil)
	s.began = time.Now()
	tick := time.NewTicker(membershipTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-seen:
			s.observe(o)
		case <-tick.C:
			s.check(ctx)
		}
	}
}

func (s *membership) observe(o raft.Observation) {
	switch o := o.Data.(type) {
	case raft.FailedHeartbeatObservation:
		id, since := string(o.PeerID), o.LastContact
		if before, ok := s.heard[id]; ok && before.Before(since) {
			since = before
		}
		s.silent[id] = silence{since: since, told: time.Now()}
	case raft.ResumedHeartbeatObservation:
		delete(s.silent, string(o.PeerID))
		delete(s.heard, string(o.PeerID))
	}
}

func (s *membership) check(ctx context.Context) {
	n := s.node
	n.sinceContact() // records the contact for the time after the term
	maps.DeleteFunc(s.silent, func(_ string, q silence) bool { return !q.lasts() })
	n.recordSilent(s.silent)
	for _, m := range n.fsm.State().View.Members {
		silent := s.silence(m.ID)
		if m.ID == n.cfg.NodeID || silent < silentAfter {
			continue
		}
		n.log.Warn("a node is silent and leaves the view: others own its rooms until it is back", "peer", m.ID, "silent", silent.Round(time.Millisecond))
		if _, err := n.Apply(ctx, fsm.Leave{ID: m.ID, Incarnation: m.Incarnation}); err != nil && ctx.Err() == nil {
			n.log.Warn("a silent node is still in the view", "peer", m.ID, "error", err)
		}
	}
	if err := s.configure(); err != nil && ctx.Err() == nil {
		n.log.Warn("raft's configuration is not corrected yet", "error", err)
	}
}

// silence returns how long a node has been silent. A join request counts as contact for rejoinGrace. Heartbeat failures recorded before it do
// not count against the node, because raft's next attempt may come only later. A node that sends join requests and still cannot be reached by
// heartbeats is silent.
func (s *membership) silence(id string) time.Duration {
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
func (s *membership) configure() error {
	n := s.node
	if !n.configuring.TryAcquire(1) {
		return nil // a join is under way
	}
	defer n.configuring.Release(1)
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
		n.log.Info("a node has another node address", "peer", server.ID, "to", n.endpoint.reachable(server.Address))
		return n.readdress(server, index)
	}
	return s.changeVote(all, index)
}

// changeVote makes the next change to who votes, if one is due.
func (s *membership) changeVote(all []raft.Server, index uint64) error {
	n := s.node
	servers := s.candidates(all)
	change := nextVoteChange(raft.ServerID(n.cfg.NodeID), servers)
	if change.id == "" {
		return nil
	}
	if !change.promote {
		why := "fewer voters tolerate as many failures"
		if slices.ContainsFunc(servers, func(c candidate) bool { return c.id == change.id && c.gone }) {
			why = "it is gone"
		}
		n.log.Info("a node loses its vote", "peer", change.id, "why", why)
		return n.raft.DemoteVoter(change.id, index, applyTimeout).Error()
	}
	i := slices.IndexFunc(all, func(server raft.Server) bool { return server.ID == change.id })
	n.log.Info("a node votes from now on", "peer", change.id)
	return n.raft.AddVoter(change.id, all[i].Address, index, applyTimeout).Error()
}

// candidates returns the servers as this term's heartbeats show them. At the beginning of a term the heartbeats have not reported all servers
// yet, so none counts as gone.
func (s *membership) candidates(all []raft.Server) []candidate {
	settled := time.Since(s.began) > 2*transportTimeout
	return s.node.candidates(all, s.silent, func(id string) bool {
		return settled && (s.silence(id) >= goneAfter || s.node.hasLeft(id))
	})
}

// dead returns a server to remove because of its silence. A voter is removed only if the remaining voters have a quorum that answers.
func (s *membership) dead(all []raft.Server) (raft.ServerID, bool) {
	for _, server := range all {
		if s.node.cfg.DeadAfter == 0 || s.silence(string(server.ID)) < s.node.cfg.DeadAfter {
			continue
		}
		if server.Suffrage != raft.Voter || keepsQuorum(all, server.ID, s.silent) == nil {
			return server.ID, true
		}
	}
	return "", false
}

// keepsQuorum returns nil if the voters other than without have a quorum that answers, else an ErrQuorum.
func keepsQuorum(all []raft.Server, without raft.ServerID, silent map[string]silence) error {
	voters, answer := 0, 0
	for _, server := range all {
		if server.ID == without || server.Suffrage != raft.Voter {
			continue
		}
		voters++
		if _, isSilent := silent[string(server.ID)]; !isSilent {
			answer++
		}
	}
	if voters == 0 || answer < voters/2+1 {
		return fmt.Errorf("%w: %d of %d", ErrQuorum, answer, voters)
	}
	return nil
}
