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
	// Every is the time from the start of one run to the start of the next, until Node.SetInterval changes it. If a run takes longer, the next
	// one starts at once.
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

// runner keeps one task's schedule.
type runner struct {
	task   Task
	source *fsm.FSM
	log    *slog.Logger
	// blocked returns an error while the task must not run. A nil func never blocks the task.
	blocked func() error
	// contained is called for each panic of the task; it may be nil.
	contained func()

	mu    sync.Mutex
	every time.Duration
	begun time.Time     // when the current interval began
	next  time.Time     // zero without a schedule
	moved chan struct{} // closed when every changes
}

func newRunner(t Task, source *fsm.FSM, blocked func() error, contained func(), log *slog.Logger) *runner {
	return &runner{task: t, source: source, blocked: blocked, contained: contained, log: log.With("task", t.Name), every: t.Every, moved: make(chan struct{})}
}

// interval returns the interval with jitter. The caller holds mu.
func (r *runner) interval() time.Duration {
	return r.every + time.Duration(float64(r.every)*r.task.Jitter*(2*rand.Float64()-1))
}

// setInterval changes the interval, and moves the next run to when it would be due had the current interval had that length.
func (r *runner) setInterval(every time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if every == r.every {
		return
	}
	r.every = every
	if r.next.After(r.begun) { // otherwise there is no schedule, or the first run is due
		r.next = r.begun.Add(r.interval())
	}
	close(r.moved)
	r.moved = make(chan struct{})
}

// serve runs the task until ctx, which is the term's, ends.
func (r *runner) serve(ctx context.Context, term Term) {
	defer r.unplan()
	for r.awaitEnabled(ctx) {
		r.plan(r.task.AtOnce)
		for r.awaitDue(ctx) {
			r.plan(false)
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
		r.unplan()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// awaitDue waits until the next run is due. It returns false if ctx has ended or the task is no longer enabled.
func (r *runner) awaitDue(ctx context.Context) bool {
	due, moved := r.due()
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
		case <-moved:
			due, moved = r.due()
			timer.Reset(time.Until(due))
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (r *runner) enabled() bool {
	return r.task.Enabled == nil || r.task.Enabled(r.source.State())
}

// plan begins an interval, at whose end the next run is due, or whose run is due at once.
func (r *runner) plan(atOnce bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = time.Now()
	r.next = r.begun
	if !atOnce {
		r.next = r.begun.Add(r.interval())
	}
}

func (r *runner) unplan() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = time.Time{}
}

// due returns when the next run is due, and a channel that is closed when that changes.
func (r *runner) due() (time.Time, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next, r.moved
}

func (r *runner) planned() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next, !r.next.IsZero()
}

func (r *runner) run(ctx context.Context, term Term) {
	defer func() {
		if p := recover(); p != nil {
			if r.contained != nil {
				r.contained()
			}
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

// SetInterval changes the interval of the task of that name, also for the run that is due next. The interval must be above 0.
func (n *Node) SetInterval(task string, every time.Duration) {
	for _, r := range n.tasks {
		if r.task.Name == task {
			r.setInterval(every)
		}
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
