package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

func TestOutOfContactOwnsNothing(t *testing.T) {
	t.Parallel()
	for since, fine := range map[time.Duration]bool{0: true, outOfContact: true, outOfContact + 1: false, -1: false} {
		if err := inContact(since); (err == nil) != fine {
			t.Errorf("%v after the last contact: %v", since, err)
		}
	}
}

// A leader has heard from no other leader for as long as it led. That is no loss of contact while it hands over,
// nor until its successor's first message.
func TestALeaderThatHandsOverIsInContact(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	n := s.leader()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.handOver(ctx) }()
	for handed := false; !handed; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			handed = true
		default:
		}
		if err := n.InContact(); err != nil {
			t.Fatalf("while it hands over: %v", err)
		}
	}
	eventually.True(t, "another one leads", func() bool {
		if err := n.InContact(); err != nil {
			t.Fatalf("after it has handed over: %v", err)
		}
		return s.leader() != n
	})
}

// A node that has just been opened has had no time to hear from a leader. Requests wait, as they do during an election.
func TestAnOpenedNodeIsInContact(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1)
	if err := s.nodes[1].InContact(); err != nil {
		t.Errorf("just opened: %v", err)
	}
	eventually.True(t, "it is out of contact after a while", func() bool { return errors.Is(s.nodes[1].InContact(), ErrOutOfContact) })
}
