package cluster

import (
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

func (s *several) waitsFor(i int, what string) {
	s.Helper()
	said := ""
	defer func() {
		if s.Failed() {
			s.Log(said)
		}
	}()
	eventually.True(s.T, "it waits: "+what, func() bool {
		said = errText(s.nodes[i].Ready())
		return strings.Contains(said, what)
	})
}

// A node without --bootstrap-expect is meant for an existing cluster. If that cluster has lost a majority, such nodes must not found another
// one.
func TestANodeThatOnlyJoinsFoundsNothing(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 5, 3)
	for i, c := range s.configs {
		c.Join = nil
		for k := 1; k <= 5; k++ {
			c.Join = append(c.Join, s.configs[k].NodeAddr)
		}
		s.configs[i] = c
	}
	s.start(4, 5, 1)
	s.waitsFor(1, "waiting for nodes: 1 of --bootstrap-expect 3 are here")
	s.waitsFor(4, "that belongs to a cluster (a new cluster needs --bootstrap-expect 2 or more; to found one of this node alone, drop --join)")
	if _, err := s.nodes[4].answerPromise(t.Context(), mustJSON(s.nodes[1].self())); err == nil {
		t.Error("a node that only joins has promised to found a cluster")
	}
	s.start(2, 3)
	s.ready(1, 2, 3, 4, 5)
	s.view("n1", "n2", "n3", "n4", "n5")
}

func TestFoundersMustExpectTheSame(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3, func(i int, c *Config) {
		if i == 1 {
			c.BootstrapExpect = 2
		}
	})
	s.start(1, 2, 3)
	s.waitsFor(2, `node "n1" has --bootstrap-expect 2: give the same to all`)
	s.waitsFor(1, `node "n2" has --bootstrap-expect 3: give the same to all`)
}

// If three of six nodes were enough to found a cluster, two halves that see only themselves would found two.
func TestHalfOfTheNodesFoundNothing(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 6, 3)
	for i, c := range s.configs {
		c.Join, c.BootstrapExpect = nil, 3
		for k := 1; k <= 6; k++ {
			c.Join = append(c.Join, s.configs[k].NodeAddr)
		}
		s.configs[i] = c
	}
	s.start(1, 2, 3)
	for i := 1; i <= 3; i++ {
		s.waitsFor(i, "of the 6 in --join, 3 are here")
	}
	s.start(6)
	s.ready(1, 2, 3, 6)
	s.start(4, 5)
	s.ready(4, 5)
	s.view("n1", "n2", "n3", "n4", "n5", "n6")
}
