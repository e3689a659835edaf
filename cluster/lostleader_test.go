package cluster

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A call to the leader does not wait for a leader that no longer leads.
func TestALeaderThatIsLostEndsTheCall(t *testing.T) {
	for name, lose := range map[string]func(*trio, int){
		"cut off":  func(s *trio, i int) { s.cutOff(i) },
		"vanishes": func(s *trio, i int) { s.hosts[i].Vanish() },
		"dies":     func(s *trio, i int) { s.net.Reset(s.nodes[i].ID(), s.nodes[s.follower()].ID()); s.cutOff(i) },
	} {
		t.Run(name, func(t *testing.T) {
			work := func(c *Config) {
				c.Handlers = map[string]Handler{"work": func(ctx context.Context, _ []byte) (any, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}}
			}
			inTrio(t, work, func(s *trio) {
				asks := s.nodes[s.follower()]
				time.AfterFunc(10*time.Second, func() { lose(s, s.leader()) })
				begun := time.Now()
				err := asks.CallLeader(s.Context(), "work", struct{}{}, nil)
				if took := time.Since(begun); !errors.Is(err, ErrOutcomeUnknown) || took < 10*time.Second || took > 20*time.Second {
					s.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}
