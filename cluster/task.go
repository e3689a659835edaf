package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// Task is work that the leader repeats. It never overlaps with itself, within a term or across terms.
type Task struct {
	// Name is unique among the node's tasks.
	Name string
	// Every is the time from the start of one run to the start of the next. If a run takes longer, the next one starts at once.
	Every time.Duration
	// Jitter, from 0 to below 1, is the fraction of Every by which an interval may be longer or shorter.
	Jitter float64
	// AtOnce makes the first run start at once, not after an interval.
	AtOnce bool
	// Enabled, if set, reports from the replicated state whether the task has a schedule. When it turns false, a run in progress is not
	// interrupted. When it turns true again, the schedule starts from the beginning.
	Enabled func(fsm.State) bool
	// Run does the work. ctx ends with the term. Errors and panics are logged, and the schedule goes on.
	Run func(ctx context.Context, term Term) error
}

func (t Task) validate() error {
	switch {
	case t.Name == "":
		return errors.New("cluster: a task has no name")
	case t.Every <= 0:
		return fmt.Errorf("cluster: task %q: Every must be above 0", t.Name)
	case t.Jitter < 0 || t.Jitter >= 1:
		return fmt.Errorf("cluster: task %q: Jitter must be from 0 to below 1", t.Name)
	case t.Run == nil:
		return fmt.Errorf("cluster: task %q has no Run", t.Name)
	}
	return nil
}

// interval returns Every with jitter.
func (t Task) interval() time.Duration {
	return t.Every + time.Duration(float64(t.Every)*t.Jitter*(2*rand.Float64()-1))
}

// runner keeps one task's schedule.
type runner struct {
	task   Task
	source *fsm.FSM
	log    *slog.Logger
	// blocked returns an error while the task must not run. A nil func never blocks the task.
	blocked func() error

	mu   sync.Mutex
	next time.Time // zero without a schedule
}

// serve runs the task until ctx, which is the term's, ends.
func (r *runner) serve(ctx context.Context, term Term) {
	defer r.plan(time.Time{})
	for r.awaitEnabled(ctx) {
		due := time.Now()
		if !r.task.AtOnce {
			due = due.Add(r.task.interval())
		}
		for r.awaitDue(ctx, due) {
			due = time.Now().Add(r.task.interval())
			r.plan(due)
			r.run(ctx, term)
		}
	}
}

// awaitEnabled waits until the task is enabled. It returns false if ctx ends first.
func (r *runner) awaitEnabled(ctx context.Context) bool {
	for {
		changed := r.source.Changed()
		if ctx.Err() != nil {
			return false
		}
		if r.enabled() {
			return true
		}
		r.plan(time.Time{})
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// awaitDue waits until due. It returns false if ctx has ended or the task is no longer enabled.
func (r *runner) awaitDue(ctx context.Context, due time.Time) bool {
	r.plan(due)
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		changed := r.source.Changed()
		if ctx.Err() != nil || !r.enabled() {
			return false
		}
		select {
		case <-timer.C:
			return ctx.Err() == nil && r.enabled()
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (r *runner) enabled() bool {
	return r.task.Enabled == nil || r.task.Enabled(r.source.State())
}

func (r *runner) plan(next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = next
}

func (r *runner) planned() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next, !r.next.IsZero()
}

func (r *runner) run(ctx context.Context, term Term) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("task panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if r.blocked != nil {
		if why := r.blocked(); why != nil {
			r.log.Info("task does not run", "error", why)
			return
		}
	}
	err := r.task.Run(ctx, term)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.log.Info("task ended with its term", "error", err)
	default:
		r.log.Error("task failed; it runs again when it is next due", "error", err)
	}
}

// NextRuns returns each task's next start, by the task's name. A task that is not enabled has none, and neither has a node that does not
// lead. While a task runs, its next start is that of the run after, provided that this one ends in time.
func (n *Node) NextRuns() map[string]time.Time {
	runs := map[string]time.Time{}
	for _, r := range n.tasks {
		if next, ok := r.planned(); ok {
			runs[r.task.Name] = next
		}
	}
	return runs
}
