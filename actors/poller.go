package actors

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// lookPause is the minimum time between two looks.
	lookPause = time.Second
	// eventPause is how long after an event a poll may contradict it, or the lag if that is shorter: LiveKit's lists may be stale.
	eventPause = 3 * time.Second
	// settle is how long the first look of a poll waits: LiveKit's API may show an event later than the webhook tells it (13 ms measured).
	settle = 50 * time.Millisecond
	// pollTries limits the failed looks of a poll. After that the next sync looks at the room in any case.
	pollTries = 3
	// pollLooks limits the polls that look concurrently. The others wait before their look begins, so that no look grows old while it waits
	// for LiveKit's request budget, and so that a sync gets its part of that budget.
	pollLooks = 16
	// lookTimeout limits how long a look waits for Redis and for its room. The calls to LiveKit have their own limits, which do not count
	// the wait for a turn in the request budget.
	lookTimeout = 30 * time.Second
)

// poller runs the polls that events ask for, each of at most two looks.
type poller struct {
	host  *Host
	lists *lister
	slots chan struct{} // each poll that is under way holds one
	looks chan struct{} // each poll that is looking holds one
}

// start begins a poll, unless too many are under way.
func (p *poller) start(q *poll) bool {
	select {
	case p.slots <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-p.slots }()
		p.run(p.host.life, q)
	}()
	return true
}

// close waits for the polls to end. It keeps all slots, so that no other poll begins. The host's life must have ended.
func (p *poller) close() {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.lists.calls.Wait()
}

// run looks until a look needs no second one, two looks have succeeded, or pollTries looks have failed.
func (p *poller) run(ctx context.Context, q *poll) {
	pause, looks := settle, 0
	for failed := 0; failed < pollTries && looks < 2; {
		if wait.For(ctx, pause) != nil {
			return
		}
		needsSecondLook := false
		err := p.host.env.guard.Contain("a poll of room "+strconv.Quote(q.room), func() (err error) {
			needsSecondLook, err = p.look(ctx, q, looks == 0)
			return err
		})
		p.host.env.observer.Polled(err == nil)
		if err != nil {
			p.host.env.log.Debug("poll failed", "room", q.room, "error", err)
			failed++
			pause = lookPause << failed
			continue
		}
		if looks++; !needsSecondLook {
			break
		}
		pause = max(lookPause, time.Until(q.event.Add(p.host.eventPause())))
	}
	p.host.send(&toRoom{name: q.room, msg: &polled{poll: q}})
}

// eventPause returns how long after an event a poll may contradict it.
func (h *Host) eventPause() time.Duration { return min(eventPause, h.lag) }

func (p *poller) look(ctx context.Context, q *poll, first bool) (needsSecondLook bool, err error) {
	select {
	case p.looks <- struct{}{}:
		defer func() { <-p.looks }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if err = p.host.prepare(ctx, q.room, false); err != nil {
		return false, err
	}
	look := reconcile.Look{Began: p.host.env.clock.Now().Stamp, Cause: reconcile.BySync, Named: q.named}
	switch {
	case q.event.IsZero():
		look.Lag = p.host.lag // no event delays the second look
	case first:
		look.First = true // it may note what the second look confirms
	default:
		// It may contradict the event that asked, which is eventPause old or a moment less, and none that has come since.
		look.Lag = max(0, p.host.eventPause()-settle)
	}
	list, err := p.lists.listed(ctx, q.room)
	if err != nil {
		return false, err
	}
	look = list.In(look, q.room)
	people, _, err := p.host.participants(ctx, q.room, look, false)
	if err != nil {
		return false, err
	}
	look = people.In(look)
	got, err := p.host.observe(ctx, q.room, look, false)
	return got.needsSecondLook, err
}

// lister combines calls of ListRooms by name: callers that ask while a call is under way share the next one.
type lister struct {
	rooms   Rooms
	guard   crash.Guard
	life    context.Context // ends with the host
	calls   sync.WaitGroup
	mu      sync.Mutex
	waiting *listing
	busy    bool
}

// listing is one call that several callers wait for.
type listing struct {
	names []string
	done  chan struct{}
	list  reconcile.RoomList
	err   error
}

// listed returns the answer of the call that asks for name. It covers the names of all callers that share the call.
func (l *lister) listed(ctx context.Context, name string) (reconcile.RoomList, error) {
	mine := l.join(name)
	select {
	case <-mine.done:
		return mine.list, mine.err
	case <-ctx.Done():
		return reconcile.RoomList{}, ctx.Err()
	}
}

func (l *lister) join(name string) *listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = &listing{done: make(chan struct{})}
	}
	mine := l.waiting
	mine.names = append(mine.names, name)
	if !l.busy {
		l.busy = true
		l.calls.Go(l.work)
	}
	return mine
}

// work makes calls until nobody waits.
func (l *lister) work() {
	for {
		l.mu.Lock()
		next := l.waiting
		l.waiting = nil
		l.busy = next != nil
		l.mu.Unlock()
		if next == nil {
			return
		}
		next.err = l.guard.Contain("asking LiveKit for rooms by name", func() (err error) {
			next.list, err = l.rooms.Listed(l.life, next.names)
			return err
		})
		close(next.done)
	}
}
