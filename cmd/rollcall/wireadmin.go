package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/reconcile"
)

// The names of the leader's tasks.
const (
	taskSync    = "sync"
	taskCleanup = "cleanup"
)

// admin carries out what operators ask for: on the leader, under its term, and with the report kept for all nodes.
type admin struct {
	own    *ownership
	sweep  *actors.Sweep
	store  generations
	meters *meters
	log    *slog.Logger
	every  map[string]time.Duration // intervals, by task
	losses losses
}

// generations is where the cluster's generation is kept against the loss of its raft data.
type generations interface {
	RaiseGeneration(ctx context.Context, g uint64) error
	Generation(ctx context.Context) (uint64, error)
	RaiseEpoch(ctx context.Context, generation, epoch uint64) error
}

// cycle is a sync or a cleanup under a term.
type cycle func(context.Context, cluster.Term, actors.Options) (actors.Report, error)

// runSync runs a sync, and restores in Redis the generation and the epoch that it may have lost.
func (a *admin) runSync(ctx context.Context, term cluster.Term, o actors.Options) (actors.Report, error) {
	a.restoreGeneration(ctx, term, o)
	r, err := a.sweep.Sync(ctx, token(term.Token), o)
	return r, a.ended(ctx, term, fsm.KindSync, r, err)
}

// restoreGeneration writes ours to Redis, though not in a dry run, unless a higher one stands: then another rollcall was founded on it
// since, and its rooms refuse us for good.
func (a *admin) restoreGeneration(ctx context.Context, term cluster.Term, o actors.Options) {
	ours, err := term.Token.Generation, error(nil)
	if !o.DryRun {
		err = a.store.RaiseGeneration(ctx, ours)
		if err == nil {
			err = a.store.RaiseEpoch(ctx, ours, a.own.Epoch())
		}
	}
	stands := uint64(0)
	if err == nil {
		stands, err = a.store.Generation(ctx)
	}
	if err != nil {
		a.log.Debug("the generation is not in Redis; the next sync tries again", "error", err)
	}
	if stands > ours {
		a.log.Error("another rollcall was founded on this Redis after this one, and its rooms refuse this one: "+
			"stop the other, then restart this one, which takes the rooms over", "ours", ours, "theirs", stands)
	}
}

func (a *admin) runCleanup(ctx context.Context, term cluster.Term, o actors.Options) (actors.Report, error) {
	r, err := a.sweep.Cleanup(ctx, token(term.Token), o)
	return r, a.ended(ctx, term, fsm.KindCleanup, r, err)
}

// ended counts, logs and keeps what a cycle came to. A dry run leaves no trace, nor does a cycle that was cut short, or one
// that was joined: whoever began it keeps it.
func (a *admin) ended(ctx context.Context, term cluster.Term, kind fsm.Kind, r actors.Report, err error) error {
	if r.DryRun || r.Joined || err != nil {
		return err
	}
	a.meters.cycle(string(kind), r)
	level, args := slog.LevelDebug, []any{"rooms", r.Synced, "changed", r.Changed, "cleaned", r.Cleaned,
		"errors", r.Errors, "took_ms", r.DurationMs}
	if r.Changed+r.Cleaned > 0 {
		level, args = slog.LevelInfo, append(args, "drift", r.Drift)
	}
	if r.Errors > 0 {
		level, args = slog.LevelWarn, append(args, "error", r.Error)
	}
	a.log.Log(ctx, level, "the "+string(kind)+" has ended", args...)
	return a.record(ctx, term, kind, r)
}

// record replicates a report, so that every node can show it, also after a restart.
func (a *admin) record(ctx context.Context, term cluster.Term, kind fsm.Kind, r actors.Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the %s report: %w", kind, err)
	}
	result, err := a.own.node.Apply(ctx, fsm.RecordReport{Kind: kind, Token: term.Token, JSON: data})
	if err = errors.Join(err, result.Err()); err != nil {
		return fmt.Errorf("keep the %s report: %w", kind, err)
	}
	return nil
}

// Status implements httpapi.Admin. What only the leader knows is asked of it, and left out where it does not answer.
func (a *admin) Status(ctx context.Context) (httpapi.Status, error) {
	n, ok := a.own.cluster()
	if !ok {
		return httpapi.Status{}, httpapi.ErrUnavailable
	}
	now, state := n.Status(), n.State()
	s := httpapi.Status{
		Running: state.Running(), Node: now.ID, Leader: now.Leader, Term: now.Term,
		SyncInterval: a.every[taskSync], CleanupInterval: a.every[taskCleanup],
		LastSync: lastReport(state, fsm.KindSync), LastCleanup: lastReport(state, fsm.KindCleanup),
	}
	agenda := a.agenda(n)
	if now.Leader != now.ID {
		ctx, cancel := context.WithTimeout(ctx, askPeerTimeout)
		defer cancel()
		if n.CallLeader(ctx, agendaHandler, struct{}{}, &agenda) != nil {
			return s, nil
		}
	}
	s.NextSync, s.NextCleanup, s.Progress = agenda.NextSync, agenda.NextCleanup, agenda.Progress
	return s, nil
}

func keptReport(state fsm.State, kind fsm.Kind) (r actors.Report, ok bool) {
	kept, ok := state.Reports[kind]
	if !ok || json.Unmarshal(kept.JSON, &r) != nil {
		return actors.Report{}, false
	}
	return r, true
}

// counts asks the cluster whether a sync counts for the breaker, before any room hears of it: a leader that is lost in the middle has
// counted it. One that cannot be asked about does not count.
func (n *daemon) counts(ctx context.Context, leader reconcile.Token, at time.Time) bool {
	spacing := time.Duration(countSpacing * float64(n.config.SyncInterval))
	result, err := n.own.node.Apply(ctx, fsm.CountCycle(fsm.Token(leader), fsm.Count{At: at.UnixMilli(), Spacing: spacing.Milliseconds()}))
	if err = errors.Join(err, result.Err()); err != nil {
		n.log.Debug("this sync does not count for the breaker", "error", err)
	}
	return err == nil
}

// held is for how many scheduled cycles in a row the breaker has held, by the last report that all nodes have.
func (o *ownership) held() int {
	n, ok := o.cluster()
	if !ok {
		return 0
	}
	last, ok := keptReport(n.State(), fsm.KindSync)
	if !ok || !last.Scheduled || last.Held == nil {
		return 0
	}
	return last.Held.Cycles
}

func lastReport(state fsm.State, kind fsm.Kind) *httpapi.Report {
	r, ok := keptReport(state, kind)
	if !ok {
		return nil
	}
	return &httpapi.Report{StartedAt: r.StartedAt, Duration: time.Duration(r.DurationMs) * time.Millisecond,
		Scheduled: r.Scheduled, Result: result(r), Changed: r.Changed, Drift: r.Drift, Deferred: r.Deferred, Held: held(r), FirstError: r.Error,
		PassedOver: passedOver(r), Slow: r.Slow}
}

func passedOver(r actors.Report) *httpapi.PassedOver {
	if r.PassedOver == 0 {
		return nil
	}
	return &httpapi.PassedOver{Entries: r.PassedOver, First: r.PassedFirst}
}

func outcomeOf(r actors.Report) httpapi.Outcome {
	o := httpapi.Outcome{Result: result(r), Held: held(r), FirstError: r.Error}
	for _, d := range r.Differences {
		o.WouldChange = append(o.WouldChange, httpapi.WouldChange{Room: d.Room, Change: d.Change,
			Identity: d.Identity, SID: d.SID, Reason: reconcile.Reason(d.Reason)})
	}
	return o
}

func result(r actors.Report) httpapi.Result {
	return httpapi.Result{Synced: r.Synced, Errors: r.Errors, Cleaned: r.Cleaned}
}

func held(r actors.Report) httpapi.Held {
	if r.Held == nil {
		return httpapi.Held{}
	}
	return httpapi.Held(*r.Held)
}
