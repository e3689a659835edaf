package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// diary records when a task's runs began.
type diary struct{ starts []time.Time }

func (d *diary) run(takes time.Duration) func(context.Context, Term) error {
	return func(context.Context, Term) error {
		d.starts = append(d.starts, time.Now())
		<-time.After(takes)
		return nil
	}
}

// seconds returns the starts in seconds since begun.
func (d *diary) seconds(begun time.Time) []int {
	var out []int
	for _, s := range d.starts {
		out = append(out, int(s.Sub(begun)/time.Second))
	}
	return out
}

// serveFor runs one task's schedule in virtual time.
func serveFor(t *testing.T, d time.Duration, r *runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	r.serve(ctx, Term{Number: 3})
	if _, ok := r.planned(); ok {
		t.Error("a schedule is left after the term")
	}
}

func equal(t *testing.T, got []int, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("runs at %v s, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("runs at %v s, want %v", got, want)
		}
	}
}

func TestSchedule(t *testing.T) {
	tests := []struct {
		name   string
		atOnce bool
		takes  time.Duration
		want   []int
	}{
		{"at once", true, 0, []int{0, 30, 60, 90}},
		{"after an interval", false, 0, []int{30, 60, 90}},
		{"from start to start", true, 10 * time.Second, []int{0, 30, 60, 90}},
		{"a slow run", true, 40 * time.Second, []int{0, 40, 80}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				begun := time.Now()
				serveFor(t, 100*time.Second, newRunner(Task{Every: 30 * time.Second, AtOnce: tt.atOnce, Run: d.run(tt.takes)}, fsm.New(), nil, nil, slog.New(slog.DiscardHandler)))
				equal(t, d.seconds(begun), tt.want...)
			})
		})
	}
}

// TestANewIntervalMovesTheNextRun changes the interval while the task waits, and while it runs.
func TestANewIntervalMovesTheNextRun(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration
		at    int // when it changes from 30 s, in seconds
		every int
		want  []int
	}{
		{"shorter, not due yet", 0, 5, 20, []int{0, 20, 40, 60, 80}},
		{"shorter, due at once", 0, 25, 20, []int{0, 25, 45, 65, 85}},
		{"longer", 0, 35, 40, []int{0, 30, 70}},
		{"during a run", 10 * time.Second, 5, 50, []int{0, 50}},
		{"the same", 0, 5, 30, []int{0, 30, 60, 90}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				begun := time.Now()
				r := newRunner(Task{Every: 30 * time.Second, AtOnce: true, Run: d.run(tt.takes)}, fsm.New(), nil, nil, slog.New(slog.DiscardHandler))
				r.setInterval(30 * time.Second) // without a schedule
				time.AfterFunc(time.Duration(tt.at)*time.Second, func() { r.setInterval(time.Duration(tt.every) * time.Second) })
				serveFor(t, 99*time.Second, r)
				equal(t, d.seconds(begun), tt.want...)
			})
		})
	}
}

func TestJitterStaysInItsBounds(t *testing.T) {
	task := newRunner(Task{Every: 10 * time.Second, Jitter: 0.1}, nil, nil, nil, slog.New(slog.DiscardHandler))
	distinct := map[time.Duration]bool{}
	for range 1000 {
		d := task.interval()
		distinct[d] = true
		if d < 9*time.Second || d > 11*time.Second {
			t.Fatalf("an interval of %v", d)
		}
	}
	if len(distinct) < 500 {
		t.Errorf("only %d different intervals", len(distinct))
	}
}

func TestFailingTaskGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		runs, contained := 0, 0
		serveFor(t, 35*time.Second, newRunner(Task{Name: "sweep", Every: 10 * time.Second, AtOnce: true,
			Run: func(context.Context, Term) error {
				switch runs++; runs {
				case 1:
					return errors.New("no luck")
				case 2:
					panic("no mercy")
				}
				return nil
			}}, fsm.New(), nil, func() { contained++ }, slog.New(slog.NewTextHandler(&log, nil))))
		if runs != 4 || contained != 1 {
			t.Errorf("%d runs, %d panics are counted", runs, contained)
		}
		for _, want := range []string{"no luck", "no mercy", "task=sweep", "task_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
	})
}

func TestTheSwitchRestartsTheSchedule(t *testing.T) {
	var syncs, cleanups diary
	inBubble(t, func(t *testing.T, n *Node) {
		synctest.Wait()
		begun := n.tasks[0].next.Add(-30 * time.Second)
		toSecond := func(s int) {
			t.Helper()
			<-time.After(time.Until(begun.Add(time.Duration(s) * time.Second)))
			synctest.Wait()
		}
		if next := n.NextRuns(); !next["sync"].Equal(begun.Add(30*time.Second)) || !next["cleanup"].Equal(begun.Add(50*time.Second)) {
			t.Errorf("begun %v, next runs %v", begun, next)
		}
		toSecond(35)
		apply(t, n, fsm.SetService{Running: false})
		toSecond(100)
		if next := n.NextRuns(); len(next) != 0 {
			t.Errorf("next runs while it is off: %v", next)
		}
		apply(t, n, fsm.SetService{Running: true})
		toSecond(155)
		apply(t, n, fsm.SetService{Running: true}) // no change
		toSecond(165)
		equal(t, syncs.seconds(begun), 0, 30, 100, 130, 160)
		equal(t, cleanups.seconds(begun), 150)
	},
		Task{Name: "sync", Every: 30 * time.Second, AtOnce: true, Enabled: fsm.State.Running, Run: syncs.run(0)},
		Task{Name: "cleanup", Every: 50 * time.Second, Enabled: fsm.State.Running, Run: cleanups.run(0)})
}

func TestTaskRunsOnARealNode(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	var wrong atomic.Bool
	cfg := config(t.TempDir())
	var n *Node
	opened := make(chan struct{})
	cfg.Tasks = []Task{{Name: "sync", Every: 10 * time.Millisecond, Jitter: 0.2, AtOnce: true, Run: func(ctx context.Context, term Term) error {
		<-opened
		runs.Add(1)
		report := fsm.RecordReport{Kind: fsm.KindSync, Token: term.Token, JSON: []byte(`{"ok":true}`)}
		if _, err := n.Apply(ctx, report); err != nil && ctx.Err() == nil {
			wrong.Store(true)
		}
		return nil
	}}}
	n = openReady(t, cfg)
	close(opened)
	eventually.True(t, "five runs", func() bool { return runs.Load() >= 5 })
	shut(t, n)
	after := runs.Load()
	if wrong.Load() || string(n.State().Reports[fsm.KindSync].JSON) != `{"ok":true}` {
		t.Error("the term's report was not recorded")
	}
	if runs.Load() != after || len(n.NextRuns()) != 0 {
		t.Error("it runs on after Close")
	}
}
