package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// inBubble runs f in virtual time, on a ready node without disk or network.
func inBubble(t *testing.T, f func(t *testing.T, n *Node), tasks ...Task) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := config("", tasks...)
		cfg.NodeAddr = ""
		f(t, openReady(t, cfg))
	})
}

// scripted starts a second watcher over n's raft. The test sends it the changes of leadership through the channel, because a raft that is
// alone never loses its leadership.
func scripted(t *testing.T, n *Node, tasks ...Task) (*Node, chan<- bool) {
	t.Helper()
	m := &Node{cfg: n.cfg, log: n.log, raft: n.raft, fsm: n.fsm, endpoint: n.endpoint, stopped: make(chan struct{})}
	for _, task := range tasks {
		m.tasks = append(m.tasks, newRunner(task, m.fsm, nil, nil, m.log))
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	notify := make(chan bool, 16)
	go m.watch(ctx, notify)
	t.Cleanup(func() { cancel(); <-m.stopped })
	return m, notify
}

func TestTermEndCancelsWorkAndWaitsForIt(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		var running, ended atomic.Int32
		var tokens []reconcile.Token
		release := make(chan struct{})
		m, notify := scripted(t, n, Task{Name: "sync", Every: time.Hour, AtOnce: true, Run: func(ctx context.Context, term Term) error {
			if running.Add(1) > 1 {
				t.Error("two terms' work overlaps")
			}
			defer running.Add(-1)
			tokens = append(tokens, term.Token)
			<-ctx.Done()
			ended.Add(1)
			<-release
			return ctx.Err()
		}})
		letEnd := sync.OnceFunc(func() { close(release) })
		t.Cleanup(letEnd)
		notify <- true
		synctest.Wait()
		if running.Load() != 1 {
			t.Fatal("the task does not run at once")
		}
		// A whole term passes while the first one's work is still ending.
		notify <- false
		notify <- true
		notify <- false
		notify <- true
		synctest.Wait()
		if ended.Load() != 1 || running.Load() != 1 || m.Status().Established {
			t.Fatalf("cancelled %d, running %d, %+v", ended.Load(), running.Load(), m.Status())
		}
		letEnd()
		synctest.Wait()
		if running.Load() != 1 || !m.Status().Established {
			t.Fatal("the last term's work did not begin")
		}
		if len(tokens) != 2 || tokens[0].Compare(tokens[1]) >= 0 {
			t.Fatalf("the terms' tokens: %+v", tokens)
		}
	})
}

func TestAProcessThatLeadsAgainKeepsItsIncarnation(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		m, notify := scripted(t, n)
		notify <- true
		synctest.Wait()
		first := m.Status()
		notify <- false
		notify <- true
		synctest.Wait()
		second := m.Status()
		if first.Incarnation == 0 || first.Incarnation != second.Incarnation || first.Epoch != second.Epoch {
			t.Errorf("first %+v, second %+v", first, second)
		}
		if second.Token.Compare(first.Token) <= 0 {
			t.Error("the second claim has no newer token")
		}
	})
}

func TestLeadEndsWithTheTerm(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		m, notify := scripted(t, n)
		if err := m.Lead(t.Context(), func(context.Context, Term) error { return nil }); !errors.Is(err, ErrNoLeader) {
			t.Errorf("before any term: %v", err)
		}
		notify <- true
		synctest.Wait()
		done := make(chan error)
		release := make(chan struct{})
		go func() {
			done <- m.Lead(t.Context(), func(ctx context.Context, _ Term) error {
				<-ctx.Done()
				<-release
				return ctx.Err()
			})
		}()
		synctest.Wait()
		notify <- false
		notify <- true
		synctest.Wait()
		if m.Status().Established {
			t.Error("a new term began beside the old one's Lead")
		}
		close(release)
		if err := <-done; !errors.Is(err, ErrTermEnded) || !errors.Is(err, context.Canceled) {
			t.Errorf("Lead gave %v", err)
		}
		synctest.Wait()
		if !m.Status().Established {
			t.Error("the new term did not begin")
		}
	})
}

func TestLeadEndsWithItsCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := n.Lead(ctx, func(ctx context.Context, _ Term) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTermEnded) {
			t.Errorf("Lead gave %v", err)
		}
		own := errors.New("its own")
		if err := n.Lead(t.Context(), func(context.Context, Term) error { return own }); err != own {
			t.Errorf("Lead gave %v", err)
		}
	})
}

func TestCloseCancelsLead(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		done := make(chan error)
		go func() {
			done <- n.Lead(context.Background(), func(ctx context.Context, _ Term) error { <-ctx.Done(); return ctx.Err() })
		}()
		synctest.Wait()
		go shut(t, n)
		if err := <-done; !errors.Is(err, ErrTermEnded) {
			t.Errorf("Lead gave %v", err)
		}
		synctest.Wait()
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config("", Task{Name: "stubborn", Every: time.Hour, AtOnce: true, Run: func(context.Context, Term) error {
			<-time.After(10 * time.Second)
			return nil
		}})
		cfg.NodeAddr = ""
		n, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 4*time.Second {
			t.Errorf("Close gave %v after %v", err, time.Since(begun))
		}
		if err := n.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second Close gave %v", err)
		}
		<-n.stopped
	})
}
