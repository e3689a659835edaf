package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// foundAlone starts each of the nodes once, without the others, so that each founds its own cluster, which has a generation of its own, as
// clusters of one Redis do. Nodes of the same generation would take each other's clusters for their own.
func (s *several) foundAlone(which ...int) {
	s.Helper()
	for _, i := range which {
		c := s.configs[i]
		alone := c
		alone.Join, alone.BootstrapExpect = nil, 1
		alone.Generation = fixed(uint64(100 + i))
		s.configs[i] = alone
		s.start(i)
		s.ready(i)
		s.stop(i)
		alone.Join, alone.BootstrapExpect = c.Join, c.BootstrapExpect
		s.configs[i] = alone
	}
}

// givesWay waits until the nodes own nothing, are not ready, and say why.
func (s *several) givesWay(which ...int) {
	s.Helper()
	for _, i := range which {
		n := s.nodes[i]
		eventually.Nil(s.T, eventually.Patience, "node gives way: "+s.configs[i].NodeID, func() error {
			ready, own := n.Ready(), n.MayOwn()
			if errors.Is(ready, ErrSeveralClusters) && errors.Is(own, ErrSeveralClusters) {
				return nil
			}
			return fmt.Errorf("ready: %v; may own rooms: %v", ready, own)
		})
	}
}

func (s *several) empty(i int) {
	s.Helper()
	if err := os.RemoveAll(s.configs[i].DataDir); err != nil {
		s.Fatal(err)
	}
}

func TestSeveralClustersBehindOneJoin(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.foundAlone(1, 2, 3)
	s.start(1, 2, 3)
	s.givesWay(1, 2, 3)
	if said := errText(s.nodes[2].Ready()); !strings.Contains(said, `led by "n1" at `) || !strings.Contains(said, "empty its --data-dir") {
		t.Errorf("it says: %s", said)
	}
	// This is the cure.
	s.stop(2, 3)
	s.empty(2)
	s.empty(3)
	s.start(2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	s.voters("n1", "n2", "n3")
}

// A cluster that has most of --join goes on beside a node of another cluster, even while one of its own nodes is away.
func TestAClusterOfMostNodesGoesOnBesideAnother(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 4, 3)
	var join []string
	for i := 1; i <= 4; i++ {
		join = append(join, s.configs[i].NodeAddr)
	}
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.voters("n1", "n2", "n3")
	s.foundAlone(4)
	for i, c := range s.configs {
		c.Join = join
		s.configs[i] = c
	}
	s.crash(1, 2, 3)
	s.start(1, 2, 4)
	s.ready(1, 2)
	s.givesWay(4)
	for range 2 {
		others, more, ok := s.nodes[1].rivals(t.Context())
		if !ok || !more || !slices.Equal(others, []server{{ID: "n4", Addr: s.configs[4].NodeAddr}}) {
			t.Errorf("other clusters: %v, more than half %v, %v", others, more, ok)
		}
	}
	if err := errors.Join(s.nodes[1].Ready(), s.nodes[1].MayOwn(), s.nodes[2].Ready(), s.nodes[2].MayOwn()); err != nil {
		t.Error(err)
	}
	s.stop(4)
	s.empty(4)
	s.start(4, 3)
	s.ready(3, 4)
	s.view("n1", "n2", "n3", "n4")
}

func TestMoreThanHalfOfJoin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		own, others, named int // named: whether --join has this node's own address too
		want               bool
	}{{0, 0, 1, true}, {0, 1, 0, false}, {0, 2, 1, false}, {1, 1, 0, true}, {1, 2, 1, false}, {2, 1, 1, true}, {1, 1, 1, true}} {
		var p joinTally
		for range tt.own {
			p.add("ours", true)
		}
		for range tt.others {
			p.add("theirs", false)
		}
		for range tt.named {
			p.add("own", true)
		}
		if got := p.more("own"); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
