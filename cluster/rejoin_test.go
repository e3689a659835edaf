package cluster

import (
	"testing"
	"time"
)

// Who was away joins once, whenever between two heartbeats that is; also one that was removed for it.
func TestWhoComesBackStays(t *testing.T) {
	for away, removals := range map[time.Duration]int{1500 * time.Millisecond: 0, 3300 * time.Millisecond: 1} {
		inTrio(t, soonDead, func(s *trio) {
			leader, victim := s.nodes[s.leader()], s.follower()
			for range 20 {
				if err := s.nodes[victim].Close(s.Context()); err != nil {
					s.Fatal(err)
				}
				time.Sleep(away)
				s.open(victim)
				if view, config := s.comes(leader, s.nodes[victim].ID(), 3*time.Second); view != 1 || config != removals {
					s.Errorf("after %v it came into the view %d times, and into raft's configuration %d times", away, view, config)
				}
			}
		})
	}
}

// Silence counts from the last word, and to ask to join is one.
func TestSilence(t *testing.T) {
	t.Parallel()
	n := openReady(t, config(t.TempDir()))
	ago := func(s int) time.Time { return time.Now().Add(-time.Duration(s) * time.Second) }
	care := &steward{node: n, silent: map[string]quiet{"n2": {since: ago(50)}, "n3": {since: ago(40)}}}
	n.joiners["n3"], n.joiners["n4"] = ago(20), ago(10)
	for id, want := range map[string]time.Duration{"n2": 50 * time.Second, "n3": 20 * time.Second, "n4": 0} {
		if got := care.silence(id); got.Round(10*time.Second) != want {
			t.Errorf("%s has been silent for %v, want %v", id, got, want)
		}
	}
}
