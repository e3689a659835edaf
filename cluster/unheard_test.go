package cluster

import (
	"errors"
	"testing"
	"time"
)

func soonDead(c *Config) { c.DeadAfter = 3 * time.Second }

// A process that was cut off for longer than --dead-after comes back by itself, with a new incarnation and as a voter.
func TestADeadNodeThatLivesComesBack(t *testing.T) {
	inTrio(t, soonDead, func(s *trio) {
		leader, victim := s.nodes[s.leader()], s.nodes[s.follower()]
		heal := s.cutOff(s.follower())
		time.Sleep(10 * time.Second)
		before := victim.Status().Incarnation
		if view, config := s.comes(leader, victim.ID(), heal, 15*time.Second); view != 1 || config != 1 {
			s.Errorf("it came into the view %d times, and into raft's configuration %d times", view, config)
		}
		if err := victim.Ready(); err != nil || victim.Status().Incarnation <= before {
			s.Errorf("incarnation %d after %d: %v", victim.Status().Incarnation, before, err)
		}
		if voters := votersOf(leader); len(voters) != 3 {
			s.Errorf("the voters are %v", voters)
		}
	})
}

// A process that was removed while it was cut off learns of it later.
func TestARemovalThatWasNotHeard(t *testing.T) {
	inTrio(t, soonDead, func(s *trio) {
		leader, victim := s.nodes[s.leader()], s.nodes[s.follower()]
		heal := s.cutOff(s.follower())
		if err := leader.Remove(s.Context(), victim.ID()); err != nil {
			s.Errorf("remove %s: %v", victim.ID(), err)
		}
		time.Sleep(10 * time.Second)
		heal()
		select {
		case err := <-victim.Failure():
			if !errors.Is(err, ErrRemoved) {
				s.Error(err)
			}
		case <-time.After(20 * time.Second):
			s.Error("it goes on")
		}
	})
}
