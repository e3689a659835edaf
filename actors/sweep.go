package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// plain reports whether callers that ask for a cycle at the same time may share one.
func plain(o reconcile.Options) bool { return !o.DryRun && !o.Force && !o.Fresh && o.Room == "" }

// SweepConfig configures a Sweep.
type SweepConfig struct {
	Rooms  Rooms
	Index  Index
	Router *Router
	Clock  Clock
	Log    *slog.Logger
	// Contained, if not nil, is called for each panic that ended a part of a cycle, or a cycle.
	Contained func()
	// StaleAfter is how long a room may stay unconfirmed before the cleanup looks at it. Sweep.SetStaleAfter changes it.
	StaleAfter time.Duration
	// Held, if not nil, returns for how many scheduled cycles in a row the breaker held under earlier leaders, as all nodes
	// agree. It is called when the breaker judges a leader's first cycle.
	Held func() int
	// Counts, if not nil, reports whether a scheduled sync that begins at that time counts for the breaker. At most one does per
	// interval, whoever leads: the syncs of three leaders that follow each other within seconds are not three cycles that agree.
	Counts func(ctx context.Context, leader reconcile.Token, at time.Time) bool
	// Slow, if not nil, is called once for each cycle that cannot end within SlowCycle.
	Slow func(kind string)
	// Housekeeping, if not nil, runs with each cleanup. It does the store's periodic work.
	Housekeeping func(ctx context.Context) error
}

// Sweep does the leader's work. At most one cycle, sync or cleanup, runs at a time.
type Sweep struct {
	SweepConfig
	guard   crash.Guard
	turn    chan struct{} // holds one token while no cycle runs
	mu      sync.Mutex
	running *syncRun // the newest plain sync that is running, or waits for its turn
	cycle   uint64   // the last cycle's id
	held    int      // scheduled cycles in a row that the breaker held
	heldBy  reconcile.Token
	silent  silences
	passed  [2]int // entries that could not be used, and rooms without a readable name, as last logged

	progress reconcile.Progress
	stale    atomic.Int64 // StaleAfter, until SetStaleAfter changes it
}

const (
	// SlowCycle is how long a cycle may take before it counts as slow.
	SlowCycle = 5 * time.Minute
	// foresee is how long a cycle runs before its end is estimated.
	foresee = 30 * time.Second
)

// slow reports whether the cycle cannot end within SlowCycle.
func slow(p reconcile.Progress, now time.Time) bool {
	took := now.Sub(p.StartedAt)
	return p.Kind != "" && (took >= SlowCycle || took >= foresee && p.Done > 0 && took*time.Duration(p.Of) > SlowCycle*time.Duration(p.Done))
}

// syncRun is a sync that others may join.
type syncRun struct {
	leader    reconcile.Token
	scheduled bool
	done      chan struct{}
	report    reconcile.Report
	err       error
}

// NewSweep returns a Sweep. It does nothing until one of its methods is called.
func NewSweep(c SweepConfig) *Sweep {
	s := &Sweep{SweepConfig: c, guard: crash.Guard{Log: c.Log, Count: c.Contained}, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	s.SetStaleAfter(c.StaleAfter)
	return s
}

// SetStaleAfter changes how long a room may stay unconfirmed before the cleanup looks at it, from the next cleanup on.
func (s *Sweep) SetStaleAfter(d time.Duration) { s.stale.Store(int64(d)) }

// Sync runs one cycle over all rooms, or over one, under the leader's token. A plain cycle over all rooms joins a plain one that is
// under way; other cycles wait for their turn. A scheduled cycle waits for one by hand, too, because it must count for the breaker. An error
// means that there was no cycle; rooms that could not be compared are in the report.
func (s *Sweep) Sync(ctx context.Context, leader reconcile.Token, o reconcile.Options) (reconcile.Report, error) {
	if !plain(o) {
		return s.exclusive(ctx, func() (reconcile.Report, error) { return s.sync(ctx, leader, o) })
	}
	for {
		f, mine := s.joinOrStart(leader, o)
		if mine {
			f.report, f.err = s.exclusive(ctx, func() (reconcile.Report, error) { return s.sync(ctx, leader, o) })
			s.end(f)
			return f.report, f.err
		}
		r, err := f.wait(ctx)
		r.Joined = true
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		// The caller that started the cycle gave up; this one did not.
	}
}

// joinOrStart returns the sync to join or, if mine is true, a new one that the caller must run and end.
func (s *Sweep) joinOrStart(leader reconcile.Token, o reconcile.Options) (f *syncRun, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil && s.running.leader == leader && (s.running.scheduled || !o.Scheduled) {
		return s.running, false
	}
	s.running = &syncRun{leader: leader, scheduled: o.Scheduled, done: make(chan struct{})}
	return s.running, true
}

func (s *Sweep) end(f *syncRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == f {
		s.running = nil
	}
	close(f.done)
}

func (f *syncRun) wait(ctx context.Context) (reconcile.Report, error) {
	select {
	case <-f.done:
		return f.report, f.err
	case <-ctx.Done():
		return reconcile.Report{}, fmt.Errorf("wait for the running sync: %w", ctx.Err())
	}
}

// FullSync runs a new sync cycle and then a cleanup, with no other cycle in between.
func (s *Sweep) FullSync(ctx context.Context, leader reconcile.Token, o reconcile.Options) (synced, cleaned reconcile.Report, err error) {
	_, err = s.exclusive(ctx, func() (reconcile.Report, error) {
		if synced, err = s.sync(ctx, leader, o); err != nil {
			return reconcile.Report{}, err
		}
		cleaned, err = s.cleanup(ctx, leader, o)
		return reconcile.Report{}, err
	})
	return synced, cleaned, err
}

// exclusive runs a cycle when no other runs. It returns a crash as an error, so that callers that wait for the cycle learn of its end.
func (s *Sweep) exclusive(ctx context.Context, run func() (reconcile.Report, error)) (r reconcile.Report, err error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return reconcile.Report{}, fmt.Errorf("wait for the running cycle: %w", ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	defer s.guard.Recover("a cycle", &err)
	return run()
}

func (s *Sweep) sync(ctx context.Context, leader reconcile.Token, o reconcile.Options) (reconcile.Report, error) {
	start := time.Now()
	r := reconcile.Report{StartedAt: start.UTC(), Scheduled: o.Scheduled, DryRun: o.DryRun, Forced: o.Force}
	defer s.begin("sync", start)()
	o.Scheduled = o.Scheduled && (s.Counts == nil || s.Counts(ctx, leader, start))
	targets, names, err := []string{o.Room}, reconcile.RoomNames{}, error(nil)
	if o.Room == "" {
		targets, names, err = s.targets(ctx, &r)
		defer func() { s.logPassedOver(r, names) }()
	} else {
		err = s.reachable(ctx, o.Room, &r)
	}
	if err != nil {
		if ctx.Err() != nil {
			return r, err
		}
		r.Errors, r.Error = r.Errors+max(1, len(targets)), err.Error()
		r.Fault = cmp.Or(r.Fault, reconcile.LiveKitFault(err))
	} else {
		s.rounds(ctx, s.batch(leader, o, reconcile.BySync), targets, sheltered(names), o, &r)
	}
	took(&r, time.Since(start))
	return r, ctx.Err()
}

// batch begins a cycle. It returns the cycle's batch, still without rooms.
func (s *Sweep) batch(leader reconcile.Token, o reconcile.Options, cause reconcile.Cause) Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cycle = max(s.cycle+1, uint64(s.Clock.Now().Wall))
	return Batch{Leader: leader, Cycle: s.cycle, Scheduled: o.Scheduled, Dry: o.DryRun, Cause: cause,
		Unanswered: s.silent.long(leader, time.Now())}
}

// targets returns the union of the rooms that LiveKit lists, that the index holds and that have an actor. If LiveKit fails, it
// returns what is known without it, and the error. A node that does not answer is an error in the report; the index knows nearly
// all of its rooms.
func (s *Sweep) targets(ctx context.Context, r *reconcile.Report) ([]string, reconcile.RoomNames, error) {
	known := map[string]bool{}
	s.named(ctx, known, r) // first: while the index is read, an idle actor may end, and nothing else may know its room
	empty, err := s.indexed(ctx, known, r)
	if err != nil {
		r.Fault = reconcile.RedisSilent
		return nil, reconcile.RoomNames{}, err
	}
	listed, err := s.Rooms.ListRooms(ctx)
	if err != nil {
		r.RedisEmpty = empty
		err = fmt.Errorf("LiveKit does not list its rooms: %w", err)
	}
	for _, name := range listed.Names {
		known[name] = true
	}
	pass(r, listed.PassedOver)
	if listed.Cut {
		r.Errors, r.Error = r.Errors+1, "LiveKit's list of all rooms is larger than what is read: rooms beyond it are found only where a webhook or Redis names them"
	}
	return slices.Sorted(maps.Keys(known)), listed, err
}

// reachable returns an error if Redis or LiveKit does not answer, so that the report of a sync of one room has a fault like that of all rooms.
func (s *Sweep) reachable(ctx context.Context, room string, r *reconcile.Report) error {
	names, next, err := s.Index.Rooms(ctx, "", 1, "")
	if err != nil && !errors.Is(err, reconcile.ErrIncomplete) {
		r.Fault = reconcile.RedisSilent
		return fmt.Errorf("read the index of rooms: %w", err)
	}
	empty := err == nil && next == "" && len(names) == 0
	if _, err := s.Rooms.Listed(ctx, []string{room}); err != nil {
		r.RedisEmpty = empty
		return fmt.Errorf("LiveKit does not list the room: %w", err)
	}
	return nil
}

// sheltered returns a func that reports which rooms must not lose anyone in this cycle: if LiveKit lists a room whose name cannot be
// read, it may be any room that the list lacks. It returns nil if every name can be read.
func sheltered(names reconcile.RoomNames) func(room string) bool {
	if names.Unnamed == 0 {
		return nil
	}
	listed := make(map[string]bool, len(names.Names))
	for _, name := range names.Names {
		listed[name] = true
	}
	return func(room string) bool { return !listed[room] }
}

// anyOf returns a func that also reports true for these rooms, which are in order.
func anyOf(sheltered func(string) bool, rooms []string) func(string) bool {
	return func(room string) bool {
		_, ok := slices.BinarySearch(rooms, room)
		return ok || sheltered != nil && sheltered(room)
	}
}

// logPassedOver logs the entries of LiveKit's lists that could not be used, whenever their number changes.
func (s *Sweep) logPassedOver(r reconcile.Report, names reconcile.RoomNames) {
	now := [2]int{r.PassedOver, names.Unnamed}
	if now == s.passed {
		return
	}
	s.passed = now
	if names.Unnamed > 0 {
		s.Log.Error("LiveKit lists rooms whose name cannot be read: no room that the list lacks is removed while that lasts. Find and delete them in LiveKit",
			"rooms", names.Unnamed, "first", r.PassedFirst)
	}
	if r.PassedOver > 0 {
		s.Log.Warn("LiveKit lists what cannot be used; it is passed over, and everything else is compared (docs/troubleshooting.md)",
			"passed_over", r.PassedOver, "first", r.PassedFirst)
	}
}

// named adds the rooms that have an actor.
func (s *Sweep) named(ctx context.Context, known map[string]bool, r *reconcile.Report) {
	var mu sync.Mutex
	var owners sync.WaitGroup
	for place, owner := range s.Router.owners() {
		owners.Go(func() {
			ctx, done := s.Router.stay(ctx, place)
			defer done()
			var names []string
			err := s.guard.Contain("the list of a node's rooms", func() (err error) { names, err = owner.Names(ctx); return err })
			mu.Lock()
			defer mu.Unlock()
			// The index knows the rooms of a node that has left. A node whose view is behind has just joined.
			if err != nil && !ownerChanged(ctx, err) {
				r.Errors, r.Error = r.Errors+1, fmt.Sprintf("ask node %s for its rooms: %v", place.Node, err)
			}
			for _, name := range names {
				known[name] = true
			}
		})
	}
	owners.Wait()
}

// indexed adds the rooms of the index. A shard that does not answer is an error in the report: the rooms of the other shards are
// compared, and a room is never removed because it is not listed. empty reports that all shards answered, and that there is no room.
func (s *Sweep) indexed(ctx context.Context, known map[string]bool, r *reconcile.Report) (empty bool, err error) {
	incomplete := error(nil)
	empty = true
	for cursor := ""; ; {
		names, next, err := s.Index.Rooms(ctx, cursor, 1000, "")
		if err != nil {
			err = fmt.Errorf("read the index of rooms: %w", err)
		}
		if err != nil && !errors.Is(err, reconcile.ErrIncomplete) {
			return false, err
		}
		if err != nil && incomplete == nil {
			incomplete, empty = err, false
			r.Errors, r.Error = r.Errors+1, err.Error()
		}
		for _, name := range names {
			known[name], empty = true, false
		}
		if cursor = next; cursor == "" {
			return empty, nil
		}
	}
}

// rounds runs round 1 on the targets and, as far as the breaker permits, round 2 on those with absences. If the owner of a
// room with absences has changed since, both rounds run again on that room, because the new owner has not seen round 1.
// Sheltered rooms get no permit; if sheltered is nil, no room is sheltered.
func (s *Sweep) rounds(ctx context.Context, b Batch, rooms []string, sheltered func(string) bool, o reconcile.Options, r *reconcile.Report) {
	places, began := s.Router.places(rooms), time.Now()
	first := s.surveyAll(ctx, b, rooms)
	looked := time.Now()
	if !s.silent.note(b, first, began) {
		sheltered = anyOf(sheltered, b.Unanswered)
	}
	absorb(r, first, false)
	v := judge(first, o, s.heldBefore(b.Leader)).spare(sheltered)
	r.Held = v.held
	if o.Scheduled {
		s.held = 0
		if v.held != nil {
			s.held = v.held.Cycles
		}
	}
	if v.held != nil && !o.DryRun {
		s.Log.Error("removals held: LiveKit shows much less than a moment ago. They go after three scheduled syncs that agree, or at once with `rollcall sync --force`",
			"rooms", v.held.Rooms, "participants", v.held.Participants, "cycles", v.held.Cycles)
	}
	if v.permit && wait.For(ctx, lookPause-time.Since(looked)) == nil {
		second := s.permitted(ctx, b, v, r)
		first.add(Findings{Differences: second.Differences})
		if moved := s.Router.moved(second.Missing, places); v.streak == 0 && len(moved) > 0 {
			first.add(Findings{Differences: s.fromScratch(ctx, b, moved, sheltered, first.Tally, o, r)})
		}
	}
	for _, d := range first.Differences {
		r.Differences = append(r.Differences, d...)
	}
}

// permitted runs round 2 on the rooms that v permits.
func (s *Sweep) permitted(ctx context.Context, b Batch, v verdict, r *reconcile.Report) Findings {
	b.Permit = &reconcile.Permit{Leader: b.Leader, Cycle: b.Cycle, Streak: v.streak}
	f := s.surveyAll(ctx, b, v.rooms)
	absorb(r, f, true)
	return f
}

// fromScratch runs both rounds, once, on rooms whose owner has not seen round 1. The breaker judges them against the totals of the
// cycle's own round 1.
func (s *Sweep) fromScratch(ctx context.Context, b Batch, rooms []string, sheltered func(string) bool, all reconcile.Tally, o reconcile.Options, r *reconcile.Report) map[string][]reconcile.Difference {
	first := s.surveyAll(ctx, b, rooms)
	absorb(r, first, true)
	first.Tally.Rooms, first.Tally.Participants = all.Rooms, all.Participants
	v := judge(first, o, 0).spare(sheltered)
	if v.permit && v.held == nil && wait.For(ctx, lookPause) == nil {
		first.add(Findings{Differences: s.permitted(ctx, b, v, r).Differences})
	}
	return first.Differences
}

// heldBefore returns for how many scheduled cycles in a row the breaker held before this one.
func (s *Sweep) heldBefore(leader reconcile.Token) int {
	if s.Held != nil && s.heldBy != leader {
		s.held, s.heldBy = s.Held(), leader
	}
	return s.held
}

// Progress returns the progress of the running cycle; it is zero if none runs.
func (s *Sweep) Progress() reconcile.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	p.Slow = p.Slow || slow(p, time.Now())
	return p
}

// begin records that a cycle runs. The func that it returns records the end.
func (s *Sweep) begin(kind string, at time.Time) (end func()) {
	set := func(p reconcile.Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.progress = p
	}
	set(reconcile.Progress{Kind: kind, StartedAt: at})
	late := time.AfterFunc(SlowCycle, s.logSlow)
	return func() {
		late.Stop()
		set(reconcile.Progress{})
	}
}

// logSlow logs, once, that the running cycle cannot end in time.
func (s *Sweep) logSlow() {
	s.mu.Lock()
	p := s.progress
	tell := !p.Slow && slow(p, time.Now())
	s.progress.Slow = p.Slow || tell
	s.mu.Unlock()
	if !tell {
		return
	}
	s.Log.Warn("a cycle takes longer than 5 min: LiveKit's request budget (--livekit-rate, or LiveKit's own limit) is small for that many rooms, or LiveKit or Redis is slow",
		"kind", p.Kind, "done", p.Done, "of", p.Of, "since", p.StartedAt.UTC())
	if s.Slow != nil {
		s.Slow(p.Kind)
	}
}

// expect adds to the number of rooms to be done, advance to the number of rooms done.
func (s *Sweep) expect(rooms int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Of += rooms
}

func (s *Sweep) advance(rooms int) {
	s.mu.Lock()
	s.progress.Done += rooms
	s.mu.Unlock()
	s.logSlow()
}
