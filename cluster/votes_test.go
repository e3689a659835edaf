package cluster

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A leader gives a node a vote and ends before another voter has heard of it. The two that are left are most of the voters, so one of them is
// elected, although by the configuration of the other it has no vote.
func TestANodeWhoseVoteOneDoesNotKnowOfIsElected(t *testing.T) {
	for name, end := range map[string]func(s *trio, leader int){
		"the leader dies": func(s *trio, leader int) { s.hosts[leader].Vanish() },
		"the leader leaves": func(s *trio, leader int) {
			ctx, cancel := context.WithTimeout(s.Context(), 8*time.Second)
			defer cancel()
			if err := s.nodes[leader].Close(ctx); err != nil {
				s.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { testUnknownVote(t, end) })
	}
}

func testUnknownVote(t *testing.T, end func(s *trio, leader int)) {
	inTrio(t, nil, func(s *trio) {
		first := s.leader()
		voter, newVoter := (first+1)%3, (first+2)%3
		leads, other := s.nodes[first], raft.ServerID(s.nodes[newVoter].ID())
		if err := leads.configuring.Acquire(s.Context(), 1); err != nil {
			s.Fatal(err)
		}
		if err := leads.raft.DemoteVoter(other, 0, applyTimeout).Error(); err != nil {
			s.Fatal(err)
		}
		if err := leads.raft.Barrier(applyTimeout).Error(); err != nil {
			s.Fatal(err)
		}
		time.Sleep(time.Second) // the entry reaches all
		if votes(s.nodes[voter], other) {
			s.Fatal("the demotion did not reach all")
		}
		s.net.Cut(leads.ID(), s.nodes[voter].ID())
		s.net.Cut(s.nodes[voter].ID(), leads.ID())
		leads.configuring.Release(1)
		for end := time.Now().Add(10 * time.Second); !votes(s.nodes[newVoter], other); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				s.Fatal("the leader gives nobody the vote")
			}
		}
		if votes(s.nodes[voter], other) {
			s.Fatal("this voter knows of the new one")
		}
		end(s, first)
		time.Sleep(30 * time.Second)
		if !s.nodes[voter].Status().Established && !s.nodes[newVoter].Status().Established {
			s.Error("two of three voters have elected nobody in 30 s")
		}
	})
}

// votes reports whether a server has a vote by a node's configuration.
func votes(n *Node, id raft.ServerID) bool {
	for _, server := range n.raft.GetConfiguration().Configuration().Servers {
		if server.ID == id {
			return server.Suffrage == raft.Voter
		}
	}
	return false
}

// Only the id of a server that is known to have no vote is replaced. One that this node does not know may belong to another cluster.
func TestBallots(t *testing.T) {
	b := newBallots()
	ids := func() (got []string) {
		for _, id := range []string{"n1", "n2", "n3", "n4"} {
			vote, _ := b.adjust(&raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ID: []byte(id)}}).(*raft.RequestVoteRequest)
			before, _ := b.adjust(&raft.RequestPreVoteRequest{RPCHeader: raft.RPCHeader{ID: []byte(id)}}).(*raft.RequestPreVoteRequest)
			if string(vote.ID) != string(before.ID) {
				t.Errorf("the vote is asked for as %q, the one before it as %q", vote.ID, before.ID)
			}
			got = append(got, string(vote.ID))
		}
		return got
	}
	if got := ids(); !slices.Equal(got, []string{"n1", "n2", "n3", "n4"}) {
		t.Errorf("before raft runs: %q", got)
	}
	servers := func() []raft.Server {
		return []raft.Server{{ID: "n1", Suffrage: raft.Nonvoter}, {ID: "n2"}, {ID: "n3", Suffrage: raft.Nonvoter}}
	}
	b.servers.Store(&servers)
	if got := ids(); !slices.Equal(got, []string{"n2", "n2", "n2", "n4"}) {
		t.Errorf("%q", got)
	}
}
