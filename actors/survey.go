package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	largestListing = 100 // the most rooms that share a call of ListRooms
	verifyAllEvery = 10  // scheduled cycles
)

// Batch is one owner's part of a round.
type Batch struct {
	Leader    reconcile.Token
	Cycle     uint64
	Scheduled bool
	Cause     reconcile.Cause
	Dry       bool
	Permit    *reconcile.Permit // in round 2
	Rooms     []string
	// Unanswered are the rooms for which LiveKit has had no answer for so long that its silence counts as an empty answer. They are
	// sorted, and include rooms of other owners.
	Unanswered []string
}

// Findings are what an owner reports about a round.
type Findings struct {
	Examined, Errors, Changed int
	Tally                     reconcile.Tally
	Missing                   []string // rooms with absences that wait for a permit
	Agreed                    []string // those of them with absences that three scheduled cycles have seen
	Moved                     []string // rooms that this owner no longer owns: neither compared nor errors
	Differences               map[string][]reconcile.Difference
	Err                       string // the first error, for people
	// PassedOver counts the entries of ListParticipants that could not be used.
	PassedOver reconcile.PassedOver
	// Unlooked are rooms without a look in time, because LiveKit's request budget is small. They are neither compared nor errors.
	Unlooked []string
	// Unanswered are rooms that ListRooms lacks and for which LiveKit itself has no answer.
	Unanswered []string
}

// add sums other into f. Differences of a room replace those of an earlier look.
func (f *Findings) add(other Findings) {
	f.Examined += other.Examined
	f.Errors += other.Errors
	f.Changed += other.Changed
	f.Missing = append(f.Missing, other.Missing...)
	f.Agreed = append(f.Agreed, other.Agreed...)
	f.Moved = append(f.Moved, other.Moved...)
	f.Unlooked = append(f.Unlooked, other.Unlooked...)
	f.Unanswered = append(f.Unanswered, other.Unanswered...)
	f.PassedOver.Add(other.PassedOver)
	f.addTally(other.Tally)
	for room, d := range other.Differences {
		if f.Differences == nil {
			f.Differences = map[string][]reconcile.Difference{}
		}
		f.Differences[room] = d
	}
	if f.Err == "" {
		f.Err = other.Err
	}
}

func (f *Findings) addTally(t reconcile.Tally) {
	s := &f.Tally
	s.Rooms += t.Rooms
	s.Participants += t.Participants
	s.MissingRooms += t.MissingRooms
	s.MissingParticipants += t.MissingParticipants
	s.AgreedRooms += t.AgreedRooms
	s.AgreedParticipants += t.AgreedParticipants
	s.DeferredRooms += t.DeferredRooms
	s.DeferredParticipants += t.DeferredParticipants
	s.Deferred += t.Deferred
	s.Cleaned += t.Cleaned
	for reason, n := range t.Drift {
		if s.Drift == nil {
			s.Drift = map[reconcile.Reason]int{}
		}
		s.Drift[reason] += n
	}
}

func failed(rooms int, err error) Findings {
	return Findings{Errors: rooms, Err: err.Error()}
}

// surveys lets a newer leader's survey end an older one's, and counts cycles.
type surveys struct {
	mu     sync.Mutex
	leader reconcile.Token
	ctx    context.Context
	end    context.CancelFunc
	cycle  uint64 // the last scheduled cycle
	cycles int    // how many scheduled cycles there were
}

// verification returns what the looks of a batch compare. Others seldom set an expiry or remove a room from the index, so scheduled syncs look
// for that only in the first cycle after a start and in every tenth after it; a sync that someone asked for always does.
func (s *surveys) verification(b Batch) reconcile.Verification {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !b.Scheduled {
		return reconcile.VerifyAll
	}
	if b.Cycle != s.cycle {
		s.cycle, s.cycles = b.Cycle, s.cycles+1
	}
	if s.cycles%verifyAllEvery == 1 {
		return reconcile.VerifyAll
	}
	return reconcile.VerifyContent
}

// enter returns the context under which a leader's survey runs. It ends when a newer leader's survey begins.
func (s *surveys) enter(life context.Context, leader reconcile.Token) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := leader.Compare(s.leader); {
	case c < 0:
		return nil, fmt.Errorf("%w: a newer leader's survey has begun", ErrFenced)
	case c > 0 || s.ctx == nil:
		if s.end != nil {
			s.end()
		}
		s.leader = leader
		s.ctx, s.end = context.WithCancel(life)
	}
	return s.ctx, nil
}

// repeats is how often a survey repeats looks: for a contradiction, and for a look that was void because the room was claimed again.
const repeats = 2

// Survey looks at the rooms of a batch. In round 1 a look that contradicts what is known is followed by a second one;
// in round 2, with a permit, one fresh look may remove.
func (h *Host) Survey(ctx context.Context, b Batch) (Findings, error) {
	if b.Leader.Compare(h.env.own.Leader()) < 0 {
		return Findings{}, fmt.Errorf("%w: the batch is of an older leader", ErrFenced)
	}
	term, err := h.surveys.enter(h.life, b.Leader)
	if err != nil {
		return Findings{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(term, cancel)()

	v := &survey{host: h, batch: b, verify: h.surveys.verification(b), began: time.Now(), crew: newCrew(len(b.Rooms)), found: map[string]Findings{}}
	defer v.crew.end()
	v.turn, cancel = context.WithDeadline(ctx, v.began.Add(turnWithin))
	defer cancel()
	v.round(ctx, b.Rooms)
	// A contradiction in round 2 waits for the next cycle.
	for n := range repeats {
		rooms := v.again
		if b.Permit != nil || len(rooms) == 0 || wait.For(ctx, lookPause) != nil {
			break
		}
		v.again, v.last = nil, n == repeats-1
		v.round(ctx, rooms)
	}
	if term.Err() != nil {
		return v.total(), fmt.Errorf("%w: a newer leader's survey has begun, or this node stops", ErrFenced)
	}
	return v.total(), ctx.Err()
}

// survey collects the outcomes of the looks of one batch.
type survey struct {
	host   *Host
	batch  Batch
	verify reconcile.Verification
	began  time.Time
	turn   context.Context // of the calls to LiveKit: it limits their wait for a turn in the request budget
	crew   *crew
	mu     sync.Mutex
	found  map[string]Findings // by room; those of a second look include the first's
	again  []string            // rooms to look at once more
	last   bool                // these looks are not repeated
}

// round looks at rooms, at those of one or two calls of ListRooms at a time, until surveyFor has passed.
func (v *survey) round(ctx context.Context, rooms []string) {
	var mu sync.Mutex
	next := func() []string {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(v.began) >= surveyFor {
			for _, room := range rooms {
				v.note(room, looked{}, reconcile.ErrNoTurn)
			}
			rooms = nil
		}
		listing := rooms[:min(len(rooms), v.host.pace.rooms())]
		rooms = rooms[len(listing):]
		return listing
	}
	lookAt := func(atOnce int) {
		for v.host.pace.calls() >= atOnce {
			listing := next()
			if len(listing) == 0 {
				return
			}
			v.lookAt(ctx, listing)
		}
	}
	var second sync.WaitGroup
	second.Go(func() { lookAt(2) })
	lookAt(1)
	second.Wait()
}

// lookAt looks at the rooms of one call of ListRooms: it claims those that are not claimed yet, then lists all together, then asks for the
// participants of each. If a room loses its claim meanwhile, its look is void.
func (v *survey) lookAt(ctx context.Context, rooms []string) {
	var mu sync.Mutex
	unclaimed := v.host.unclaimed(ctx, rooms)
	ready := slices.DeleteFunc(slices.Clone(rooms), func(room string) bool { return slices.Contains(unclaimed, room) })
	v.crew.each(unclaimed, func(room string) {
		if err := v.contain(room, func() error { return v.host.prepare(ctx, room, v.batch.Dry) }); err != nil {
			v.note(room, looked{}, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		ready = append(ready, room)
	})
	began, asked := v.host.env.clock.Now().Stamp, time.Now()
	listed, err := v.list(ready)
	v.crew.each(ready, func(room string) {
		if err != nil {
			v.note(room, looked{}, err)
			return
		}
		var got looked
		err := v.contain(room, func() (err error) {
			got, err = v.look(ctx, room, listed.In(reconcile.Look{Began: began}, room))
			return err
		})
		v.note(room, got, err)
	})
	v.host.pace.took(len(rooms), time.Since(asked))
}

// contain turns a crash of the work on a room into that room's error.
func (v *survey) contain(room string, work func() error) error {
	return v.host.env.guard.Contain("comparing room "+strconv.Quote(room), work)
}

func (v *survey) list(rooms []string) (reconcile.RoomList, error) {
	if len(rooms) == 0 {
		return reconcile.RoomList{}, nil
	}
	var list reconcile.RoomList
	err := v.host.env.guard.Contain("asking LiveKit for rooms by name", func() (err error) {
		list, err = v.host.livekit.Listed(v.turn, rooms)
		return err
	})
	return list, cutShort(v.turn, err)
}

// cutShort adds reconcile.ErrNoTurn to the error of a call whose turn in the request budget came too late.
func cutShort(turn context.Context, err error) error {
	if err != nil && errors.Is(turn.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", reconcile.ErrNoTurn, err)
	}
	return err
}

func (v *survey) look(ctx context.Context, room string, look reconcile.Look) (looked, error) {
	b := v.batch
	_, long := slices.BinarySearch(b.Unanswered, room)
	list, silent, err := v.host.participants(v.turn, room, look, long)
	if err != nil {
		return looked{}, cutShort(v.turn, err)
	}
	look = list.In(look)
	look.Cycle, look.Scheduled, look.Cause, look.Permit = b.Cycle, b.Scheduled, b.Cause, b.Permit
	look.Verify, look.Lag = v.verify, v.host.lag
	got, err := v.host.observe(ctx, room, look, b.Dry)
	got.passed, got.silent = list.PassedOver, silent
	return got, err
}

// note records the outcome of a look at a room. A failed second look leaves the findings of the first and counts as an error.
func (v *survey) note(room string, got looked, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, second := v.found[room]
	if errors.Is(err, errClaimedAgain) && !v.last && v.batch.Permit == nil {
		v.again = append(v.again, room)
		return
	}
	if errors.Is(err, reconcile.ErrNoTurn) || errors.Is(err, errTooOld) {
		if !second { // otherwise the first look's findings remain, and wait for the next cycle
			v.found[room] = Findings{Unlooked: []string{room}}
		}
		return
	}
	if errors.Is(err, ErrNotOwner) {
		v.found[room] = Findings{Moved: []string{room}}
		return
	}
	if err != nil {
		before.Errors = 1
		before.Err = fmt.Sprintf("room %q: %v", room, err)
		if errors.Is(err, errUnanswered) {
			before.Unanswered = []string{room}
		}
		v.found[room] = before
		return
	}
	f := Findings{Examined: 1, Tally: got.tally, Errors: before.Errors, Err: before.Err, PassedOver: got.passed}
	if second {
		f.Tally.Rooms, f.Tally.Participants = before.Tally.Rooms, before.Tally.Participants
		f.addTally(reconcile.Tally{Drift: before.Tally.Drift})
		f.Changed = before.Changed
	}
	if len(got.changes) > 0 || len(got.tally.Drift) > 0 {
		f.Changed = 1
	}
	if got.silent {
		f.Unanswered = []string{room}
	}
	deferred := got.tally.DeferredRooms + got.tally.DeferredParticipants // they wait for the next cycle, not for a permit
	if got.tally.MissingRooms+got.tally.MissingParticipants > deferred {
		f.Missing = []string{room}
	}
	if got.tally.AgreedRooms+got.tally.AgreedParticipants > 0 {
		f.Agreed = []string{room}
	}
	if v.batch.Dry {
		f.Differences = map[string][]reconcile.Difference{room: differences(room, got)}
	}
	if got.needsSecondLook && !second {
		v.again = append(v.again, room)
	}
	v.found[room] = f
}

func (v *survey) total() Findings {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := Findings{}
	for _, f := range v.found {
		sum.add(f)
	}
	slices.Sort(sum.Missing)
	slices.Sort(sum.Agreed)
	return sum
}

func differences(room string, got looked) []reconcile.Difference {
	list := []reconcile.Difference{}
	if got.tally.Drift[reconcile.ForeignChange]+got.tally.Drift[reconcile.LostWrite] > 0 {
		reason := reconcile.ForeignChange
		if got.tally.Drift[reconcile.LostWrite] > 0 {
			reason = reconcile.LostWrite
		}
		list = append(list, reconcile.Difference{Room: room, Change: reconcile.RoomSnapshot, Reason: reason})
	}
	for _, c := range got.changes {
		d := reconcile.Difference{Room: room, Change: c.Type, SID: c.SID, Reason: c.Reason}
		if c.Member != nil {
			d.Identity = c.Member.Identity
		}
		list = append(list, d)
	}
	return list
}
