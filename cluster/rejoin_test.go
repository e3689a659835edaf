package cluster

import (
	"testing"
	"testing/synctest"
	"time"
)

// A node that was away joins once, at whatever time between two heartbeats it returns. So does a node that was removed meanwhile.
func TestANodeThatComesBackStays(t *testing.T) {
	for away, removals := range map[time.Duration]int{1500 * time.Millisecond: 0, 3700 * time.Millisecond: 1} {
		inTrio(t, soonDead, func(s *trio) {
			leader, victim := s.nodes[s.leader()], s.follower()
			for range 20 {
				if err := s.nodes[victim].Close(s.Context()); err != nil {
					s.Fatal(err)
				}
				time.Sleep(away)
				if view, config := s.comes(leader, s.nodes[victim].ID(), func() { s.open(victim) }, 3*time.Second); view != 1 || config != removals {
					s.Errorf("after %v it came into the view %d times, and into raft's configuration %d times", away, view, config)
				}
			}
		})
	}
}

// A silence begins with the last contact. A join request counts as contact for a while, but a node that asks again and again without being
// heard is silent.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ago := func(n int) time.Time { return time.Now().Add(-time.Duration(n) * time.Second) }
		care := &membership{node: &Node{joiners: map[string]time.Time{"asked": ago(1), "heard": ago(10), "unheard": ago(10)}},
			silent: map[string]silence{"gone": {since: ago(50)}, "asked": {since: ago(40)}, "unheard": {since: ago(30)}}}
		for id, want := range map[string]time.Duration{"gone": 50 * time.Second, "asked": time.Second, "heard": 0, "unheard": 30 * time.Second} {
			if got := care.silence(id); got != want {
				t.Errorf("%s has been silent for %v, want %v", id, got, want)
			}
		}
	})
}
