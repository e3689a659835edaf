package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Options are how a cycle is run.
type Options struct {
	Scheduled bool // by the leader's task: it counts for the breaker, if SweepConfig.Counts agrees
	DryRun    bool // change no key, list what would change
	Force     bool // let held removals go
	Fresh     bool // begin a new cycle behind the one that runs
}

// plain cycles may be shared by those who ask for one at the same time.
func (o Options) plain() bool { return !o.DryRun && !o.Force && !o.Fresh }

// SweepConfig is what the leader's work needs.
type SweepConfig struct {
	Rooms  Rooms
	Index  Index
	Router *Router
	Clock  Clock
	Log    *slog.Logger
	// StaleAfter is how long a room may stay unconfirmed before the cleanup looks at it.
	StaleAfter time.Duration
	// Held, when given, is for how many scheduled cycles in a row the breaker held under earlier leaders, by what all nodes
	// agree on. It is asked as a leader's first scheduled sync judges.
	Held func() int
	// Counts, when given, reports whether a scheduled sync that begins at that time counts for the breaker. At most one does per
	// interval, whoever leads: leaders that follow each other within seconds are no three cycles that agree.
	Counts func(ctx context.Context, leader reconcile.Token, at time.Time) bool
	// Slow, when given, is told once of each cycle that cannot end within SlowCycle.
	Slow func(kind string)
	// Housekeeping runs with each cleanup: what a store wants done now and then.
	Housekeeping func(ctx context.Context) error
}

// Sweep is the leader's work. At most one cycle, sync or cleanup, runs at a time.
type Sweep struct {
	SweepConfig
	turn   chan struct{} // holds one token while no cycle runs
	mu     sync.Mutex
	flight *flight // the newest plain sync that is running, or waits for its turn
	cycle  uint64  // the last cycle's id
	held   int     // scheduled cycles in a row that the breaker held
	heldBy reconcile.Token
	silent silences
	passed [2]int // entries that could not be used, and rooms without a readable name, as last told

	progress Progress
}

// Progress is how far the running cycle is.
type Progress struct {
	Kind      string // sync or cleanup; empty while none runs
	StartedAt time.Time
	// Done of Of rooms were looked at. Rooms with absences count again when they are looked at again.
	Done, Of int
	// Slow says that the cycle cannot end within SlowCycle, as far as can be told by now.
	Slow bool
}

const (
	// SlowCycle is how long a cycle may take before it is said to be slow.
	SlowCycle = 5 * time.Minute
	// foresee is how long a cycle runs before its end is estimated.
	foresee = 30 * time.Second
)

// slow reports whether the cycle cannot end within SlowCycle.
func (p Progress) slow(now time.Time) bool {
	took := now.Sub(p.StartedAt)
	return p.Kind != "" && (took >= SlowCycle || took >= foresee && p.Done > 0 && took*time.Duration(p.Of) > SlowCycle*time.Duration(p.Done))
}

// flight is a sync that others may join.
type flight struct {
	leader    reconcile.Token
	scheduled bool
	done      chan struct{}
	report    Report
	err       error
}

// NewSweep makes the leader's desk; it does nothing until called.
func NewSweep(c SweepConfig) *Sweep {
	s := &Sweep{SweepConfig: c, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Sync runs one cycle over all rooms under the leader's token. A plain one joins a plain one that is under way; others
// wait for their turn, and so does a scheduled one behind a manual one: it must count for the breaker. An error means that there was no cycle; rooms that could not be examined are in the report.
func (s *Sweep) Sync(ctx context.Context, leader reconcile.Token, o Options) (Report, error) {
	if !o.plain() {
		return s.exclusive(ctx, func() (Report, error) { return s.sync(ctx, leader, o) })
	}
	for {
		f, mine := s.board(leader, o)
		if mine {
			f.report, f.err = s.exclusive(ctx, func() (Report, error) { return s.sync(ctx, leader, o) })
			s.land(f)
			return f.report, f.err
		}
		r, err := f.wait(ctx)
		r.Joined = true
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		// Its starter gave up, not we.
	}
}

// board gives the flight to join, or a new one, which is the caller's to fly and land.
func (s *Sweep) board(leader reconcile.Token, o Options) (f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil && s.flight.leader == leader && (s.flight.scheduled || !o.Scheduled) {
		return s.flight, false
	}
	s.flight = &flight{leader: leader, scheduled: o.Scheduled, done: make(chan struct{})}
	return s.flight, true
}

func (s *Sweep) land(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == f {
		s.flight = nil
	}
	close(f.done)
}

func (f *flight) wait(ctx context.Context) (Report, error) {
	select {
	case <-f.done:
		return f.report, f.err
	case <-ctx.Done():
		return Report{}, fmt.Errorf("wait for the running sync: %w", ctx.Err())
	}
}

// FullSync is a new sync cycle, then a cleanup, with nothing in between.
func (s *Sweep) FullSync(ctx context.Context, leader reconcile.Token, o Options) (synced, cleaned Report, err error) {
	_, err = s.exclusive(ctx, func() (Report, error) {
		if synced, err = s.sync(ctx, leader, o); err != nil {
			return Report{}, err
		}
		cleaned, err = s.cleanup(ctx, leader, o)
		return Report{}, err
	})
	return synced, cleaned, err
}

// exclusive runs a cycle when no other runs. One that crashes is an error, so that those who wait for it learn of its end.
func (s *Sweep) exclusive(ctx context.Context, run func() (Report, error)) (r Report, err error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return Report{}, fmt.Errorf("wait for the running cycle: %w", ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	defer crash.Recover(s.Log, "a cycle", &err)
	return run()
}

func (s *Sweep) sync(ctx context.Context, leader reconcile.Token, o Options) (Report, error) {
	start := time.Now()
	r := Report{StartedAt: start.UTC(), Scheduled: o.Scheduled, DryRun: o.DryRun, Forced: o.Force}
	defer s.begin("sync", start)()
	o.Scheduled = o.Scheduled && (s.Counts == nil || s.Counts(ctx, leader, start))
	targets, names, err := s.targets(ctx, &r)
	if err != nil {
		if ctx.Err() != nil {
			return r, err
		}
		r.Errors, r.Error = r.Errors+max(1, len(targets)), err.Error()
	} else {
		s.rounds(ctx, s.batch(leader, o, reconcile.BySync), targets, sheltered(names), o, &r)
	}
	s.tellPassedOver(r, names)
	r.took(time.Since(start))
	return r, ctx.Err()
}

// batch begins a cycle.
func (s *Sweep) batch(leader reconcile.Token, o Options, cause reconcile.Cause) Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cycle = max(s.cycle+1, uint64(s.Clock.Now().Wall))
	return Batch{Leader: leader, Cycle: s.cycle, Scheduled: o.Scheduled, Dry: o.DryRun, Cause: cause,
		Unanswered: s.silent.long(leader, time.Now())}
}

// targets is the union of what LiveKit lists, what the index holds and what has an actor. On an error it is what is
// known without LiveKit. A node that does not answer is an error of the report; the index knows nearly all of its rooms.
func (s *Sweep) targets(ctx context.Context, r *Report) ([]string, reconcile.RoomNames, error) {
	known := map[string]bool{}
	if err := s.indexed(ctx, known, r); err != nil {
		return nil, reconcile.RoomNames{}, err
	}
	s.named(ctx, known, r)
	listed, err := s.Rooms.ListRooms(ctx)
	if err != nil {
		err = fmt.Errorf("LiveKit does not list its rooms: %w", err)
	}
	for _, name := range listed.Names {
		known[name] = true
	}
	r.pass(listed.PassedOver)
	if listed.Cut {
		r.Errors, r.Error = r.Errors+1, "LiveKit's list of all rooms is larger than what is read: rooms beyond it are found only where a webhook or Redis names them"
	}
	return slices.Sorted(maps.Keys(known)), listed, err
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

// tellPassedOver logs what lists held that could not be used, when that changes.
func (s *Sweep) tellPassedOver(r Report, names reconcile.RoomNames) {
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
		s.Log.Warn("LiveKit lists what cannot be used; it is passed over, and everything else is examined (docs/troubleshooting.md)",
			"passed_over", r.PassedOver, "first", r.PassedFirst)
	}
}

// named adds the rooms that have an actor.
func (s *Sweep) named(ctx context.Context, known map[string]bool, r *Report) {
	var mu sync.Mutex
	var owners sync.WaitGroup
	for place, owner := range s.Router.owners() {
		owners.Go(func() {
			ctx, done := s.Router.stay(ctx, place)
			defer done()
			var names []string
			err := crash.Contain(s.Log, "the list of a node's rooms", func() (err error) { names, err = owner.Names(ctx); return err })
			mu.Lock()
			defer mu.Unlock()
			// A node that went has rooms that the index knows; one whose view is behind has just come.
			if err != nil && !elsewhere(ctx, err) {
				r.Errors, r.Error = r.Errors+1, fmt.Sprintf("ask node %s for its rooms: %v", place.Node, err)
			}
			for _, name := range names {
				known[name] = true
			}
		})
	}
	owners.Wait()
}

// indexed adds the rooms of the index. Rooms of a shard that does not answer are an error of the report: those of the others are
// examined, and what is not listed is not removed.
func (s *Sweep) indexed(ctx context.Context, known map[string]bool, r *Report) error {
	incomplete := error(nil)
	for cursor := ""; ; {
		names, next, err := s.Index.Rooms(ctx, cursor, 1000, "")
		if err != nil {
			err = fmt.Errorf("read the index of rooms: %w", err)
		}
		if err != nil && !errors.Is(err, reconcile.ErrIncomplete) {
			return err
		}
		if err != nil && incomplete == nil {
			incomplete = err
			r.Errors, r.Error = r.Errors+1, err.Error()
		}
		for _, name := range names {
			known[name] = true
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// rounds runs round 1 on the targets and, as far as the breaker permits, round 2 on those with absences. Absences in
// rooms that have another owner since have both rounds again: that one has not seen round 1.
// Rooms that are sheltered (nil: none are) get no permit.
func (s *Sweep) rounds(ctx context.Context, b Batch, rooms []string, sheltered func(string) bool, o Options, r *Report) {
	places, began := s.Router.places(rooms), time.Now()
	first := s.survey(ctx, b, rooms)
	looked := time.Now()
	if !s.silent.note(b, first, began) {
		sheltered = anyOf(sheltered, b.Unanswered)
	}
	r.absorb(first, false)
	v := judge(first, o, s.heldBefore(b.Leader)).spare(sheltered)
	r.Held = v.held
	if o.Scheduled {
		s.held = 0
		if v.held != nil {
			s.held = v.held.Cycles
		}
	}
	if v.held != nil && !o.DryRun {
		s.Log.Error("removals held: LiveKit shows much less than a moment ago. They go after three cycles that agree, or at once with `rollcall sync --force`",
			"rooms", v.held.Rooms, "participants", v.held.Participants, "cycles", v.held.Cycles)
	}
	if v.permit && sleep(ctx, lookPause-time.Since(looked)) == nil {
		second := s.permitted(ctx, b, v, r)
		first.add(Findings{Differences: second.Differences})
		if moved := s.Router.moved(second.Missing, places); v.streak == 0 && len(moved) > 0 {
			first.add(Findings{Differences: s.anew(ctx, b, moved, sheltered, first.Tally, o, r)})
		}
	}
	for _, d := range first.Differences {
		r.Differences = append(r.Differences, d...)
	}
}

// permitted is round 2.
func (s *Sweep) permitted(ctx context.Context, b Batch, v verdict, r *Report) Findings {
	b.Permit = &reconcile.Permit{Leader: b.Leader, Cycle: b.Cycle, Streak: v.streak}
	f := s.survey(ctx, b, v.rooms)
	r.absorb(f, true)
	return f
}

// anew runs both rounds on rooms whose owner has not seen round 1, once, under the breaker by what round 1 counted in all.
func (s *Sweep) anew(ctx context.Context, b Batch, rooms []string, sheltered func(string) bool, all reconcile.Tally, o Options, r *Report) map[string][]Difference {
	first := s.survey(ctx, b, rooms)
	r.absorb(first, true)
	first.Tally.Rooms, first.Tally.Participants = all.Rooms, all.Participants
	v := judge(first, o, 0).spare(sheltered)
	if v.permit && v.held == nil && sleep(ctx, lookPause) == nil {
		first.add(Findings{Differences: s.permitted(ctx, b, v, r).Differences})
	}
	return first.Differences
}

// heldBefore is for how many scheduled cycles in a row the breaker held before this one.
func (s *Sweep) heldBefore(leader reconcile.Token) int {
	if s.Held != nil && s.heldBy != leader {
		s.held, s.heldBy = s.Held(), leader
	}
	return s.held
}

// Progress is the running cycle's.
func (s *Sweep) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	p.Slow = p.Slow || p.slow(time.Now())
	return p
}

// begin notes that a cycle runs; the func it returns, that it has ended.
func (s *Sweep) begin(kind string, at time.Time) (end func()) {
	set := func(p Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.progress = p
	}
	set(Progress{Kind: kind, StartedAt: at})
	late := time.AfterFunc(SlowCycle, s.tellSlow)
	return func() {
		late.Stop()
		set(Progress{})
	}
}

// tellSlow says so, once, if the running cycle cannot end in time.
func (s *Sweep) tellSlow() {
	s.mu.Lock()
	p := s.progress
	tell := !p.Slow && p.slow(time.Now())
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

// expect adds rooms to what is to be done, advance to what is.
func (s *Sweep) expect(rooms int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Of += rooms
}

func (s *Sweep) advance(rooms int) {
	s.mu.Lock()
	s.progress.Done += rooms
	s.mu.Unlock()
	s.tellSlow()
}
