package cluster

import (
	"testing"
	"time"
)

// A stall that is shorter than what followers tolerate does not cost the leadership. A new leader begins with a sync, which is additional
// work for a machine that is short of CPU already.
func TestAShortStallKeepsTheLead(t *testing.T) {
	inTrio(t, nil, func(s *trio) {
		leader := s.leader()
		term := s.nodes[leader].Status().Term
		for i := range 20 {
			time.Sleep(2*time.Second + time.Duration(i)*37*time.Millisecond) // at any point between two heartbeats
			heal := s.cutOff(leader)
			time.Sleep(400 * time.Millisecond)
			heal()
		}
		time.Sleep(2 * time.Second)
		if now := s.nodes[leader].Status(); now.Term != term || !now.Established {
			s.Errorf("term %d, and then %d; it leads: %v", term, now.Term, now.Established)
		}
	})
}

// A leader that stays cut off stops leading before another one begins.
func TestTwoNeverLeadAtOnce(t *testing.T) {
	for i := range 5 {
		inTrio(t, nil, func(s *trio) {
			time.Sleep(3*time.Second + time.Duration(i)*37*time.Millisecond)
			old := s.leader()
			defer s.cutOff(old)()
			begun := time.Now()
			next := func() bool {
				for j, n := range s.nodes {
					if j != old && n.Status().Established {
						return true
					}
				}
				return false
			}
			for !next() {
				time.Sleep(5 * time.Millisecond)
			}
			if took := time.Since(begun); took > 3*time.Second {
				s.Errorf("the next leader came after %v", took)
			}
			if s.nodes[old].Status().Established {
				s.Error("both lead")
			}
		})
	}
}
