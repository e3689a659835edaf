package cluster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// A roll-out without volumes: a node with a new name and an empty disk starts and becomes ready, then an old one stops or is killed, until no
// old one is left.
func TestARollOutWithoutVolumesKeepsTheQuorum(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 3, 5} {
		for _, killed := range []bool{false, true} {
			if size == 1 && killed {
				continue // of two nodes one votes: without it there is no quorum
			}
			t.Run(fmt.Sprintf("%d nodes, killed=%v", size, killed), func(t *testing.T) {
				t.Parallel()
				s := newSeveral(t, 2*size, size)
				for i, c := range s.configs {
					c.Join = nil
					known := 2 * size
					if i <= size {
						known = size
					}
					for k := 1; k <= known && (i > 1 || size > 1); k++ {
						c.Join = append(c.Join, s.configs[k].NodeAddr)
					}
					s.configs[i] = c
				}
				var old, after []string
				for i := 1; i <= size; i++ {
					s.start(i)
					old = append(old, s.configs[i].NodeID)
					after = append(after, s.configs[size+i].NodeID)
				}
				for i := 1; i <= size; i++ {
					s.ready(i)
				}
				s.voters(old...)
				for i := 1; i <= size; i++ {
					s.start(size + i)
					s.ready(size + i)
					if killed {
						s.crash(i)
					} else {
						s.stop(i)
					}
				}
				s.view(sorted(after)...)
				s.voters(sorted(after)...)
			})
		}
	}
}

// A node that only restarts keeps its vote if there is no spare. If there is one, the node comes back as a spare itself.
func TestANodeThatRestartsKeepsItsVoteUnlessThereIsASpare(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 4, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	s.voters("n1", "n2", "n3")
	i := s.follower()
	s.crash(i)
	silent := s.configs[i].NodeID
	eventually.True(t, "it is silent for longer than a spare would wait", func() bool {
		q, ok := s.leader().silentNodes()[silent]
		return ok && q.told.Sub(q.since) > goneAfter+transportTimeout
	})
	s.voters("n1", "n2", "n3")
	s.start(4)
	s.ready(4)
	want := sorted(append(without(i, 3), "n4"))
	s.voters(want...)
	s.start(i)
	s.ready(i)
	s.view("n1", "n2", "n3", "n4")
	s.voters(want...)
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}
