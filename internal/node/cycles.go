package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// The names of the leader's tasks.
const (
	taskSync    = "sync"
	taskCleanup = "cleanup"
)

// countSpacing is the minimum time between two cycles that count for the breaker, as a fraction of the sync interval. The jitter makes no interval
// shorter than that.
const countSpacing = 1 - SyncJitter

// tasks returns the leader's tasks and when they run.
func (n *Node) tasks() []cluster.Task {
	task := func(name string, every time.Duration, atOnce bool, cycle cycle) cluster.Task {
		return cluster.Task{Name: name, Every: every, Jitter: SyncJitter, AtOnce: atOnce, Enabled: fsm.State.Running,
			Run: func(ctx context.Context, term cluster.Term) error {
				if err := n.Ownership.Wait(ctx); err != nil {
					return err
				}
				_, err := cycle(ctx, term, reconcile.Options{Scheduled: true})
				return err
			}}
	}
	every := n.every.Load()
	return []cluster.Task{task(taskSync, every.sync, true, n.sync), task(taskCleanup, every.cleanup, false, n.cleanup)}
}

// intervals are the intervals of the schedule.
type intervals struct{ sync, cleanup time.Duration }

// SetIntervals changes the intervals of the schedule, also for the runs that are due next, and how long a room may stay unconfirmed before a
// cleanup looks at it. They count on the leader; each node has its own for the time when it leads. It is valid after Open.
func (n *Node) SetIntervals(sync, cleanup, staleAfter time.Duration) {
	n.every.Store(&intervals{sync: sync, cleanup: cleanup})
	n.Cluster.SetInterval(taskSync, sync)
	n.Cluster.SetInterval(taskCleanup, cleanup)
	n.Sweep.SetStaleAfter(staleAfter)
}

// cycle is a sync or a cleanup under a term.
type cycle func(context.Context, cluster.Term, reconcile.Options) (reconcile.Report, error)

// sync runs a sync. Before that it restores the generation and the epoch in the store, which may have lost them.
func (n *Node) sync(ctx context.Context, term cluster.Term, o reconcile.Options) (reconcile.Report, error) {
	ctx, end := n.traced(ctx, "sync", o)
	n.restoreGeneration(ctx, term, o)
	r, err := n.Sweep.Sync(ctx, term.Token, o)
	end(r, err)
	return r, n.cycleEnded(ctx, term, fsm.KindSync, r, err)
}

// traced begins the trace of a cycle, if this node makes traces. The function that it returns ends it.
func (n *Node) traced(ctx context.Context, name string, o reconcile.Options) (context.Context, func(reconcile.Report, error)) {
	if n.config.Tracer == nil {
		return ctx, func(reconcile.Report, error) {}
	}
	return n.config.Tracer.Cycle(ctx, name, o)
}

// syncRoom syncs one room. Its report is neither counted nor kept: the last report of a sync, and the metrics of cycles, are about all rooms.
func (n *Node) syncRoom(ctx context.Context, term cluster.Term, o reconcile.Options) (reconcile.Report, error) {
	ctx, end := n.traced(ctx, "sync", o)
	n.restoreGeneration(ctx, term, o)
	r, err := n.Sweep.Sync(ctx, term.Token, o)
	end(r, err)
	if err == nil && !o.DryRun {
		n.logReport(ctx, "the sync of room "+strconv.Quote(o.Room), nil, r)
	}
	return r, err
}

func (n *Node) cleanup(ctx context.Context, term cluster.Term, o reconcile.Options) (reconcile.Report, error) {
	ctx, end := n.traced(ctx, "cleanup", o)
	r, err := n.Sweep.Cleanup(ctx, term.Token, o)
	end(r, err)
	return r, n.cycleEnded(ctx, term, fsm.KindCleanup, r, err)
}

// fullSync runs a new sync, and then a cleanup.
func (n *Node) fullSync(ctx context.Context, term cluster.Term, o reconcile.Options) (synced, cleaned reconcile.Report, err error) {
	ctx, end := n.traced(ctx, "full-sync", o)
	n.restoreGeneration(ctx, term, o)
	synced, cleaned, err = n.Sweep.FullSync(ctx, term.Token, o)
	end(synced, err)
	if cleaned.StartedAt.IsZero() {
		return synced, cleaned, n.cycleEnded(ctx, term, fsm.KindSync, synced, err) // there was no cleanup
	}
	// After the end of the term both fail with the same error: the first one is enough.
	first := n.cycleEnded(ctx, term, fsm.KindSync, synced, nil)
	second := n.cycleEnded(ctx, term, fsm.KindCleanup, cleaned, err)
	return synced, cleaned, cmp.Or(first, second)
}

// cycleEnded counts, logs and keeps the report of a cycle. It does nothing for a dry run, for a cycle that was cut short, and for one that was
// joined: the caller that began that one keeps its report.
func (n *Node) cycleEnded(ctx context.Context, term cluster.Term, kind fsm.Kind, r reconcile.Report, err error) error {
	if r.DryRun || r.Joined || err != nil {
		return err
	}
	before := LastReport(n.Cluster.State(), kind)
	n.config.Telemetry.CycleEnded(kind, r)
	n.logReport(ctx, "the "+string(kind), before, r)
	return n.keepReport(ctx, term, kind, r.After(before))
}

// logReport logs the report of a cycle. before is the last report of its kind, nil if there is none.
func (n *Node) logReport(ctx context.Context, what string, before *reconcile.Report, r reconcile.Report) {
	level, args := slog.LevelDebug, []any{"rooms", r.Synced, "changed", r.Changed, "cleaned", r.Cleaned,
		"errors", r.Errors, "took_ms", r.DurationMs}
	if r.Changed+r.Cleaned > 0 {
		level, args = slog.LevelInfo, append(args, "drift", r.Drift)
	}
	text := what + " has ended"
	if r.Fault == "" && before != nil && before.Fault != "" {
		level, text = slog.LevelInfo, text+", and LiveKit and Redis answered again"
	}
	if r.Errors > 0 {
		level, args = slog.LevelWarn, append(args, "error", r.Error)
	}
	if r.Fault != "" {
		text, args = faultText(r.Fault, r.RedisEmpty), []any{"cycle", what, "error", r.Error}
	}
	n.config.Log.Log(ctx, level, text, args...)
}

// faultText says why a cycle compared no room, what that means, and what to do. empty is Report.RedisEmpty.
func faultText(f reconcile.Fault, empty bool) string {
	kept := ": nothing is removed, and Redis keeps the last answer. "
	if empty {
		kept = ": nothing is removed, and Redis holds no room now; the live ones come back with the first good sync. "
	}
	switch f {
	case reconcile.LiveKitRefuses:
		return "LiveKit refuses the API key" + kept + "Compare --livekit-api-key and its secret with LiveKit's, and the clocks"
	case reconcile.LiveKitLimited:
		return "LiveKit allows no more requests now" + kept + "Lower --livekit-rate, or lengthen --sync-interval"
	case reconcile.RedisSilent:
		return "Redis does not list its rooms, so none was compared. Check Redis and --redis-url"
	}
	return "LiveKit does not answer" + kept + "Check LiveKit and --livekit-host"
}

// keepReport replicates a report, so that every node can show it, also after a restart.
func (n *Node) keepReport(ctx context.Context, term cluster.Term, kind fsm.Kind, r reconcile.Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the %s report: %w", kind, err)
	}
	if _, err := n.Cluster.Apply(ctx, fsm.RecordReport{Kind: kind, Token: term.Token, JSON: data}); err != nil {
		return fmt.Errorf("keep the %s report: %w", kind, err)
	}
	return nil
}

// LastReport returns the report of the last cycle of that kind, as the state keeps it; nil if there was none.
func LastReport(state fsm.State, kind fsm.Kind) *reconcile.Report {
	kept, ok := state.Reports[kind]
	if !ok {
		return nil
	}
	r := new(reconcile.Report)
	if json.Unmarshal(kept.JSON, r) != nil {
		return nil
	}
	return r
}

// counts reports whether a sync counts for the breaker. It is called before any room hears of the sync, so that the sync of a leader that fails
// halfway has been counted. If the cluster cannot be asked, the sync does not count.
func (n *Node) counts(ctx context.Context, leader reconcile.Token, at time.Time) bool {
	spacing := time.Duration(countSpacing * float64(n.every.Load().sync))
	_, err := n.Cluster.Apply(ctx, fsm.CountCycle(leader, fsm.Count{At: at.UnixMilli(), Spacing: spacing.Milliseconds()}))
	if err != nil {
		n.config.Log.Debug("this sync does not count for the breaker", "error", err)
	}
	return err == nil
}

// held returns for how many scheduled cycles in a row the breaker has held, by the last report that all nodes have.
func (n *Node) held() int {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return 0
	}
	last := LastReport(c.State(), fsm.KindSync)
	if last == nil || !last.Scheduled || last.Held == nil {
		return 0
	}
	return last.Held.Cycles
}
