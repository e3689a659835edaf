package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	surveyChunk   = 100 // rooms that share a call of ListRooms
	surveyWorkers = 64  // rooms looked at together; the LiveKit client bounds its calls further
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
}

// Difference is what a dry run would change.
type Difference struct {
	Room     string               `json:"room"`
	Change   reconcile.ChangeType `json:"change"`
	Identity string               `json:"identity"`
	SID      string               `json:"sid"`
	Reason   string               `json:"reason"` // a reconcile.Reason, or for an entry of the index that it has no keys
}

// Findings are what an owner reports of a round.
type Findings struct {
	Examined, Errors, Changed int
	Tally                     reconcile.Tally
	Missing                   []string // rooms with absences that wait for a permit
	Agreed                    []string // those of them whose absence stood for three scheduled cycles
	Moved                     []string // rooms that this owner does not own any more: neither examined nor errors
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
	f.Moved = append(f.Moved, other.Moved...)
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

	v := &survey{host: h, batch: b, found: map[string]Findings{}}
	v.round(ctx, b.Rooms)
	// What contradicts in round 2 waits for the next cycle.
	if again := v.again; b.Permit == nil && len(again) > 0 && sleep(ctx, lookPause) == nil {
		v.last = true
		v.round(ctx, again)
	}
	if term.Err() != nil {
		return v.total(), fmt.Errorf("%w: a newer leader's survey has begun, or this node stops", ErrFenced)
	}
	return v.total(), ctx.Err()
}

// survey gathers what the looks of one batch come to.
type survey struct {
	host  *Host
	batch Batch
	mu    sync.Mutex
	found map[string]Findings // by room; a second look's tally follows the first's
	again []string
	last  bool // this is the second round of looks
}

func (v *survey) round(ctx context.Context, rooms []string) {
	for chunk := range slices.Chunk(rooms, surveyChunk) {
		v.chunk(ctx, chunk)
	}
}

// chunk looks at some rooms: it claims them, then lists them together, then asks for the participants of each.
func (v *survey) chunk(ctx context.Context, rooms []string) {
	var mu sync.Mutex
	var ready []string
	each(rooms, func(room string) {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		if err := v.host.prepare(ctx, room, v.batch.Dry); err != nil {
			v.note(room, looked{}, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		ready = append(ready, room)
	})
	began := v.host.env.clock.Now().Stamp
	listed, err := v.list(ctx, ready)
	each(ready, func(room string) {
		if err != nil {
			v.note(room, looked{}, err)
			return
		}
		look := reconcile.Look{Began: began, Listed: listed[room]}
		got, err := v.look(ctx, room, look)
		v.note(room, got, err)
	})
}

func (v *survey) list(ctx context.Context, rooms []string) (map[string][]reconcile.RoomInfo, error) {
	if len(rooms) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return v.host.livekit.Listed(ctx, rooms)
}

func (v *survey) look(ctx context.Context, room string, look reconcile.Look) (looked, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	active, waiting, err := v.host.livekit.Participants(ctx, room)
	if err != nil {
		return looked{}, err
	}
	b := v.batch
	look.Participants, look.Waiting, look.Verify = active, waiting, true
	look.Cycle, look.Scheduled, look.Cause, look.Permit, look.Lag = b.Cycle, b.Scheduled, b.Cause, b.Permit, v.host.lag
	return v.host.observe(ctx, room, look, b.Dry)
}

// note keeps what a look at a room came to. A failed second look leaves the first's findings and counts as an error.
func (v *survey) note(room string, got looked, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, second := v.found[room]
	if errors.Is(err, errClaimedAnew) && !v.last && v.batch.Permit == nil {
		v.again = append(v.again, room)
		return
	}
	if errors.Is(err, ErrNotOwner) {
		v.found[room] = Findings{Moved: []string{room}}
		return
	}
	if err != nil {
		before.Errors = 1
		before.Err = fmt.Sprintf("room %q: %v", room, err)
		v.found[room] = before
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
	deferred := got.tally.DeferredRooms + got.tally.DeferredParticipants // they wait for the next cycle, not for a permit
	if got.tally.MissingRooms+got.tally.MissingParticipants > deferred {
		f.Missing = []string{room}
	}
	if got.tally.AgreedRooms+got.tally.AgreedParticipants > 0 {
		f.Agreed = []string{room}
	}
	if v.batch.Dry {
		f.Differences = map[string][]Difference{room: differences(room, got)}
	}
	if got.again && !v.last {
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

func differences(room string, got looked) []Difference {
	list := []Difference{}
	if got.tally.Drift[reconcile.ForeignChange]+got.tally.Drift[reconcile.LostWrite] > 0 {
		reason := reconcile.ForeignChange
		if got.tally.Drift[reconcile.LostWrite] > 0 {
			reason = reconcile.LostWrite
		}
		list = append(list, Difference{Room: room, Change: reconcile.RoomSnapshot, Reason: string(reason)})
	}
	for _, c := range got.changes {
		d := Difference{Room: room, Change: c.Type, SID: c.SID, Reason: string(c.Reason)}
		if c.Member != nil {
			d.Identity = c.Member.Identity
		}
		list = append(list, d)
	}
	return list
}

// each does the work for every room, for some at once.
func each(rooms []string, work func(room string)) {
	queue := make(chan string)
	var workers sync.WaitGroup
	for range min(surveyWorkers, len(rooms)) {
		workers.Go(func() {
			for room := range queue {
				work(room)
			}
		})
	}
	for _, room := range rooms {
		queue <- room
	}
	close(queue)
	workers.Wait()
}
