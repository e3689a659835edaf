package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	surveyChunk   = 100             // rooms whose listing is taken at once
	surveyWorkers = 64              // rooms looked at together; the LiveKit client bounds its calls further
	listingFresh  = 5 * time.Second // how long the leader's ListRooms serves as the first look
)

// Target is a room to survey. Listed is what the leader's ListRooms had of it, or nil.
type Target struct {
	Name   string
	Listed *reconcile.RoomInfo
}

// Batch is one owner's part of a round.
type Batch struct {
	Leader    reconcile.Token
	Cycle     uint64
	Scheduled bool
	Cause     reconcile.Cause
	Dry       bool
	Relist    bool              // the targets carry no listing: the first look takes its own
	Permit    *reconcile.Permit // in round 2
	Rooms     []Target
}

// Difference is what a dry run would change.
type Difference struct {
	Room     string               `json:"room"`
	Change   reconcile.ChangeType `json:"change"`
	Identity string               `json:"identity"`
	SID      string               `json:"sid"`
	Reason   string               `json:"reason"`
}

// Findings are what an owner reports of a round.
type Findings struct {
	Examined, Errors, Changed int
	Tally                     reconcile.Tally
	Missing                   []string // rooms with absences that wait for a permit
	Agreed                    []string // those of them whose absence stood for three scheduled cycles
	Differences               map[string][]Difference
	Err                       string // the first error, for people
}

// add sums other into f. Differences of a room replace those of an earlier look.
func (f *Findings) add(other Findings) {
	f.Examined += other.Examined
	f.Errors += other.Errors
	f.Changed += other.Changed
	f.Missing = append(f.Missing, other.Missing...)
	f.Agreed = append(f.Agreed, other.Agreed...)
	f.addTally(other.Tally)
	for room, d := range other.Differences {
		if f.Differences == nil {
			f.Differences = map[string][]Difference{}
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

// surveys lets a newer leader's survey end an older one's.
type surveys struct {
	mu     sync.Mutex
	leader reconcile.Token
	ctx    context.Context
	end    context.CancelFunc
}

// enter is the context under which a leader's survey runs; it ends when a newer leader's begins.
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

	v := &survey{host: h, batch: b}
	received, own := time.Now(), b.Relist || b.Permit != nil
	for chunk := range slices.Chunk(b.Rooms, surveyChunk) {
		v.chunk(ctx, chunk, !own && time.Since(received) < listingFresh)
	}
	if again := v.takeAgain(); len(again) > 0 && sleep(ctx, lookPause) == nil {
		for chunk := range slices.Chunk(again, surveyChunk) {
			v.chunk(ctx, chunk, false)
		}
	}
	return v.total(), ctx.Err()
}

// survey gathers what the looks of one batch come to.
type survey struct {
	host  *Host
	batch Batch
	mu    sync.Mutex
	found map[string]Findings // by room; a second look's tally follows the first's
	again []Target
}

// chunk looks at some rooms; listed says that the leader's listing is fresh enough to be part of the look.
func (v *survey) chunk(ctx context.Context, targets []Target, listed bool) {
	began := v.host.env.clock.Now().Stamp
	if !listed {
		fresh, err := v.relist(ctx, targets)
		if err != nil {
			for _, t := range targets {
				v.note(t, looked{}, err)
			}
			return
		}
		targets = fresh
	}
	work := make(chan Target)
	var workers sync.WaitGroup
	for range min(surveyWorkers, len(targets)) {
		workers.Go(func() {
			for t := range work {
				got, err := v.look(ctx, t, began)
				v.note(t, got, err)
			}
		})
	}
	for _, t := range targets {
		work <- t
	}
	close(work)
	workers.Wait()
}

func (v *survey) relist(ctx context.Context, targets []Target) ([]Target, error) {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Name
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	infos, err := v.host.livekit.Listed(ctx, names)
	if err != nil {
		return nil, err
	}
	fresh := make([]Target, len(names))
	for i, name := range names {
		fresh[i].Name = name
		if info, ok := infos[name]; ok {
			fresh[i].Listed = &info
		}
	}
	return fresh, nil
}

func (v *survey) look(ctx context.Context, t Target, began reconcile.Stamp) (looked, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	b := v.batch
	active, waiting, err := v.host.livekit.Participants(ctx, t.Name)
	if err != nil {
		return looked{}, err
	}
	return v.host.observe(ctx, t.Name, reconcile.Look{Began: began, Listed: t.Listed, Participants: active,
		Waiting: waiting, Cycle: b.Cycle, Scheduled: b.Scheduled, Cause: b.Cause, Permit: b.Permit, Verify: true}, b.Dry)
}

// note keeps what a look at a room came to. A failed second look leaves the first's findings and counts as an error.
func (v *survey) note(t Target, got looked, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.found == nil {
		v.found = map[string]Findings{}
	}
	before, second := v.found[t.Name]
	if err != nil {
		before.Errors = 1
		before.Err = fmt.Sprintf("room %q: %v", t.Name, err)
		v.found[t.Name] = before
		return
	}
	f := Findings{Examined: 1, Tally: got.tally, Errors: before.Errors, Err: before.Err}
	if second {
		f.Tally.Rooms, f.Tally.Participants = before.Tally.Rooms, before.Tally.Participants
		f.addTally(reconcile.Tally{Drift: before.Tally.Drift})
		f.Changed = before.Changed
	}
	if len(got.changes) > 0 || len(got.tally.Drift) > 0 {
		f.Changed = 1
	}
	if got.tally.MissingRooms+got.tally.MissingParticipants > 0 {
		f.Missing = []string{t.Name}
	}
	if got.tally.AgreedRooms+got.tally.AgreedParticipants > 0 {
		f.Agreed = []string{t.Name}
	}
	if v.batch.Dry {
		f.Differences = map[string][]Difference{t.Name: differences(t.Name, got.changes)}
	}
	if got.again && !second {
		v.again = append(v.again, Target{Name: t.Name})
	}
	v.found[t.Name] = f
}

func (v *survey) takeAgain() []Target {
	v.mu.Lock()
	defer v.mu.Unlock()
	again := v.again
	v.again = nil
	if v.batch.Permit != nil {
		return nil // what contradicts in round 2 waits for the next cycle
	}
	return again
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

func differences(room string, changes []reconcile.Change) []Difference {
	list := []Difference{}
	for _, c := range changes {
		d := Difference{Room: room, Change: c.Type, SID: c.SID, Reason: "LiveKit shows it"}
		if c.Member != nil {
			d.Identity = c.Member.Identity
		}
		if c.Type == reconcile.ParticipantLeft || c.Type == reconcile.RoomFinished {
			d.Reason = "LiveKit does not show it"
		}
		list = append(list, d)
	}
	return list
}
