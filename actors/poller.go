package actors

import (
	"context"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// lookPause is how far apart two looks are at the least.
	lookPause = time.Second
	// eventPause is how long after its event a poll may contradict it, or the lag where that is shorter: LiveKit's lists may be stale.
	eventPause = 3 * time.Second
	// settle is how long a poll waits for the event's own race with the API (13 ms measured) to be over.
	settle = 50 * time.Millisecond
	// pollTries bounds the failed looks of a poll; after that the next sync looks in any case.
	pollTries = 3
	// lookTimeout bounds one look, budget included. It must stay below reconcile's memory of touched participants.
	lookTimeout = 30 * time.Second
)

// poller takes the polls that events ask for, each of at most two looks.
type poller struct {
	host  *Host
	lists *lister
	slots chan struct{} // each poll that is under way holds one
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

// close waits for the polls to end and lets none begin: it keeps all slots. The host's life must have ended.
func (p *poller) close() {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.lists.calls.Wait()
}

// run looks until a look is not undecided, two have been taken, or LiveKit did not answer pollTries times.
func (p *poller) run(ctx context.Context, q *poll) {
	pause, looks := settle, 0
	for failed := 0; failed < pollTries && looks < 2; {
		if sleep(ctx, pause) != nil {
			return
		}
		again, err := p.look(ctx, q)
		p.host.env.observer.Polled(err == nil)
		if err != nil {
			p.host.env.log.Debug("poll failed", "room", q.room, "error", err)
			failed++
			pause = lookPause << failed
			continue
		}
		if looks++; !again {
			break
		}
		pause = max(lookPause, time.Until(q.event.Add(min(eventPause, p.host.lag))))
	}
	p.host.tell(&toRoom{name: q.room, msg: &polled{poll: q}})
}

func (p *poller) look(ctx context.Context, q *poll) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err = p.host.prepare(ctx, q.room, false); err != nil {
		return false, err
	}
	look := reconcile.Look{Began: p.host.env.clock.Now().Stamp, Cause: reconcile.BySync, Named: q.named}
	if look.Listed, err = p.lists.listed(ctx, q.room); err != nil {
		return false, err
	}
	if look.Participants, look.Waiting, err = p.host.livekit.Participants(ctx, q.room); err != nil {
		return false, err
	}
	got, err := p.host.observe(ctx, q.room, look, false)
	return got.again, err
}

// lister gathers ListRooms by name: those that ask while a call is under way share the next one.
type lister struct {
	rooms   Rooms
	life    context.Context // ends with the host
	calls   sync.WaitGroup
	mu      sync.Mutex
	waiting *listing
	busy    bool
}

// listing is one call and those who wait for it.
type listing struct {
	names []string
	done  chan struct{}
	infos map[string][]reconcile.RoomInfo
	err   error
}

func (l *lister) listed(ctx context.Context, name string) ([]reconcile.RoomInfo, error) {
	mine := l.join(name)
	select {
	case <-mine.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return mine.infos[name], mine.err
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
		call, cancel := context.WithTimeout(l.life, lookTimeout)
		next.infos, next.err = l.rooms.Listed(call, next.names)
		cancel()
		close(next.done)
	}
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
