package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/fsm"
)

// TestALaterFormatNeedsEveryServer shows that a leader counts a format as readable only if every server says so, that the error says which
// server to upgrade or to start, and that until then nothing of that format is in the log.
func TestALaterFormatNeedsEveryServer(t *testing.T) {
	inTrio(t, nil, func(s *trio) {
		leader := s.leader()
		n, a, b := s.nodes[leader], s.nodes[(leader+1)%3].ID(), s.nodes[(leader+2)%3].ID()
		if err := n.allRead(s.Context(), fsm.Format); err != nil {
			s.Errorf("this build's format: %v", err)
		}
		err := n.allRead(s.Context(), fsm.Format+1)
		if !errors.Is(err, ErrOlderBuild) || !strings.Contains(err.Error(), `"`+a+`" does not read`) || !strings.Contains(err.Error(), `"`+b+`" does not read`) ||
			!strings.Contains(err.Error(), "upgrade it first") || strings.Contains(err.Error(), `"`+n.ID()+`"`) {
			s.Errorf("a later format: %v", err)
		}
		last := n.raft.LastIndex()
		if _, err := n.Apply(s.Context(), later{fsm.SetService{}}); !errors.Is(err, ErrOlderBuild) || n.raft.LastIndex() != last {
			s.Errorf("a command of a later format: %v; the log has come from %d to %d", err, last, n.raft.LastIndex())
		}
		defer s.cutOff((leader + 1) % 3)()
		err = n.allRead(s.Context(), fsm.Format)
		if !errors.Is(err, ErrOlderBuild) || !strings.Contains(err.Error(), `"`+a+`"`) || strings.Contains(err.Error(), `"`+b+`"`) ||
			!strings.Contains(err.Error(), "start it, or remove it") {
			s.Errorf("with a node that does not answer: %v", err)
		}
	})
}

// later is a command of the format after this build's.
type later struct{ fsm.Command }

// Format returns the format after this build's.
func (later) Format() int { return fsm.Format + 1 }

// TestANodeThatIsTooOldIsNotTakenIn shows that a node that cannot read the log is told so before it gets the log. Nodes of the first release
// do not name a format.
func TestANodeThatIsTooOldIsNotTakenIn(t *testing.T) {
	for _, tt := range []struct {
		reads, used int
		refused     bool
	}{{0, 0, false}, {1, 0, false}, {0, 1, false}, {1, 1, false}, {2, 0, false}, {2, 2, false}, {0, 2, true}, {1, 2, true}, {2, 3, true}} {
		err := tooOld("n3", tt.reads, tt.used)
		if errors.Is(err, ErrOlderBuild) != tt.refused {
			t.Errorf("a node that reads %d, in a cluster that uses %d: %v", tt.reads, tt.used, err)
		}
		if tt.refused && !strings.Contains(err.Error(), "start the version that the other nodes run") {
			t.Errorf("it does not say what to do: %v", err)
		}
	}
}
