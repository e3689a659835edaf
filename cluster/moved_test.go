//go:build !race

// hashicorp/raft 1.8.0 reads a peer without a lock while the peer's address changes (updateLastAppended). It reads only the id, which stays
// the same.

package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// readdress gives other addresses to nodes that do not run, and puts the addresses of all nodes into --join.
func (s *several) readdress(addrs map[int]string) {
	s.Helper()
	for i, addr := range addrs {
		c := s.configs[i]
		c.NodeAddr = addr
		s.configs[i] = c
	}
	var join []string
	for i := 1; i <= len(s.configs); i++ {
		join = append(join, s.configs[i].NodeAddr)
	}
	for i, c := range s.configs {
		c.Join = join
		s.configs[i] = c
	}
}

// stored waits until the leader's configuration has the current address of every node.
func (s *several) stored() {
	s.Helper()
	said := ""
	defer func() {
		if s.Failed() {
			s.Log(said)
		}
	}()
	eventually.True(s.T, "raft's configuration has the nodes' addresses", func() bool {
		all := s.leader().Status().Servers
		said = fmt.Sprintf("%+v", all)
		for _, server := range all {
			for _, c := range s.configs {
				if c.NodeID == server.ID && c.NodeAddr != server.NodeAddr {
					return false
				}
			}
		}
		return true
	})
}

func TestAllNodesComeBackWithOtherAddresses(t *testing.T) {
	t.Parallel()
	for name, addrs := range map[string]func(s *several) map[int]string{
		"new ones": func(s *several) map[int]string {
			return map[int]string{1: freeAddr(s.T), 2: freeAddr(s.T), 3: freeAddr(s.T)}
		},
		"those of each other": func(s *several) map[int]string {
			return map[int]string{1: s.configs[2].NodeAddr, 2: s.configs[3].NodeAddr, 3: s.configs[1].NodeAddr}
		},
		"two exchange theirs": func(s *several) map[int]string {
			return map[int]string{1: s.configs[2].NodeAddr, 2: s.configs[1].NodeAddr}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSeveral(t, 3, 3)
			s.start(1, 2, 3)
			s.ready(1, 2, 3)
			s.voters("n1", "n2", "n3")
			s.crash(1, 2, 3)
			s.readdress(addrs(s))
			s.start(1, 2, 3)
			s.ready(1, 2, 3)
			s.view("n1", "n2", "n3")
			s.voters("n1", "n2", "n3")
			s.stored()
		})
	}
}

// If --join has one seed, the others find each other through it.
func TestAllNodesComeBackWithOtherAddressesAndASeed(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.voters("n1", "n2", "n3")
	s.crash(1, 2, 3)
	s.readdress(map[int]string{1: freeAddr(t), 2: freeAddr(t), 3: freeAddr(t)})
	for i, c := range s.configs {
		c.Join = []string{s.configs[1].NodeAddr}
		s.configs[i] = c
	}
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	s.stored()
}

// A new node may be given the address of one that has just gone.
func TestANewNodeHasTheAddressOfOneThatIsGone(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 4, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.voters("n1", "n2", "n3")
	i := s.follower()
	s.stop(i)
	c := s.configs[4]
	c.NodeAddr = s.configs[i].NodeAddr
	s.configs[4] = c
	s.start(4)
	s.ready(4)
	want := sorted(append(without(i, 3), "n4"))
	s.view(want...)
	s.voters(want...)
	// The node that was gone comes back at another address.
	s.readdress(map[int]string{i: freeAddr(t)})
	s.start(i)
	s.ready(i)
	s.view("n1", "n2", "n3", "n4")
	s.stored()
}

func TestRaftSpeaksToTheNodeThatItMeans(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	transport := s.nodes[1].endpoint.transport
	var answer raft.RequestVoteResponse
	ask := raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}
	at := raft.ServerAddress(s.configs[2].NodeAddr)
	if err := transport.RequestVote("n2", at, &ask, &answer); err != nil {
		t.Errorf("n2 does not answer for itself: %v", err)
	}
	if err := transport.RequestVote("n3", at, &ask, &answer); err == nil {
		t.Error("n2 answers for n3")
	}
}

func TestNextAddress(t *testing.T) {
	t.Parallel()
	now := map[raft.ServerID]raft.ServerAddress{"a": "2", "b": "3", "c": "1", "d": "5", "e": "5"}
	all := []raft.Server{{ID: "a", Address: "1"}, {ID: "b", Address: "2"}, {ID: "c", Address: "3"}, {ID: "d", Address: "4"}}
	steps := 0
	for ; ; steps++ {
		s, wrong := nextAddress(all, func(s raft.Server) raft.ServerAddress { return now[s.ID] })
		if !wrong {
			break
		}
		seen := map[raft.ServerAddress]bool{}
		for i := range all {
			if all[i].ID == s.ID {
				all[i].Address = s.Address
			}
			if seen[all[i].Address] || steps > 10 {
				t.Fatalf("step %d gives %+v", steps, all)
			}
			seen[all[i].Address] = true
		}
	}
	for _, s := range all {
		if s.Address != now[s.ID] {
			t.Errorf("%q is stored at %q and is at %q", s.ID, s.Address, now[s.ID])
		}
	}
}

// A server moves to another address and, once that is stored, returns to its first one. The recorded move must no longer apply.
func TestAServerThatComesBackToItsFirstAddress(t *testing.T) {
	t.Parallel()
	b := newAddressBook()
	b.note("n1", "a:1", "b:1")
	for _, step := range []struct{ stored, want raft.ServerAddress }{{"a:1", "b:1"}, {nowhere("n1"), "b:1"}, {"b:1", "b:1"}, {"a:1", "a:1"}} {
		if got := b.address("n1", step.stored); got != step.want {
			t.Errorf("stored at %s it is at %s, want %s", step.stored, got, step.want)
		}
	}
	b.note("n1", "a:1", "b:1")
	b.forget("n1") // it has announced its address itself
	if got := b.address("n1", "a:1"); got != "a:1" {
		t.Errorf("it is at %s", got)
	}
}
