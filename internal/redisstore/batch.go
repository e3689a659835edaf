package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// The bounds of batches: enough to fill a round trip, little enough that Redis stays quick for others and that a batch of
// large rooms goes through within Patience.
const (
	batchesAtOnce = 2
	batchRequests = 128
	batchBytes    = 4 << 20
)

// The bounds of what waits for one shard. More than that is refused.
const (
	laneRequests = 16384
	laneBytes    = 128 << 20
)

// errClosed answers what comes after Close.
var errClosed = errors.New("the store is closed")

// errQueue answers what is too much to wait for a Redis that is slow or hangs.
var errQueue = errors.New("too much waits for this Redis already")

// request is a script to run on one room's keys.
type request struct {
	room   string
	script script
	keys   []string
	args   []any
	// patient requests wait for a silent shard: LiveKit repeats a webhook only a few times, so it waits for the failover while it may.
	patient bool

	bytes int             // size, once it is queued
	left  <-chan struct{} // closed when its caller has left; a request that was not sent by then is skipped
	done  chan answer     // holds one, so that nobody waits for a caller that left
}

// answer is a script's reply, its first element (the outcome) cut off, or an error.
type answer struct {
	reply []any
	err   error
}

// batcher gathers requests while batches are in flight and sends what has gathered when one returns; it never lingers.
// A room has at most one request in flight: a room's requests keep their order, even over several connections.
// Each shard has a lane of its own, with its own batches in flight: one that hangs holds up nobody else's rooms.
type batcher struct {
	send func([]*request) error // answers every request; its error is why it could answer none by Redis' words
	lane func(context.Context, *request) string
	// check returns why a lane takes no requests that are not patient, or nil; note is told how each batch ended.
	check func(lane string) error
	note  func(lane string, r *request, err error)

	mu     sync.Mutex
	lanes  map[string]*lane
	busy   map[string]struct{} // rooms in flight
	closed bool
	wait   sync.WaitGroup
}

// lane is what waits for one shard.
type lane struct {
	name   string
	queue  []*request
	bytes  int // of the queue
	flying int // batches
}

// newBatcher makes a batcher with one lane.
func newBatcher(send func([]*request) error) *batcher {
	return &batcher{send: send, lanes: map[string]*lane{}, busy: map[string]struct{}{},
		lane:  func(context.Context, *request) string { return "" },
		check: func(string) error { return nil },
		note:  func(string, *request, error) {}}
}

// do sends r and waits for its answer, but not past ctx.
func (b *batcher) do(ctx context.Context, r *request) ([]any, error) {
	r.left, r.done = ctx.Done(), make(chan answer, 1)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("not sent: %w", err)
	}
	name := b.lane(ctx, r)
	if !r.patient {
		if err := b.check(name); err != nil {
			return nil, fmt.Errorf("not sent: %w", err)
		}
	}
	if err := b.enqueue(name, r); err != nil {
		return nil, err
	}
	select {
	case a := <-r.done:
		return a.reply, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

func (b *batcher) enqueue(name string, r *request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	l := b.lanes[name]
	if l == nil {
		l = &lane{name: name}
		b.lanes[name] = l
	}
	if len(l.queue) >= laneRequests || l.bytes >= laneBytes {
		return fmt.Errorf("not sent: %w", errQueue)
	}
	r.bytes = r.size()
	l.queue = append(l.queue, r)
	l.bytes += r.bytes
	b.dispatch()
	return nil
}

// dispatch starts batches while it may. It holds mu.
func (b *batcher) dispatch() {
	for name, l := range b.lanes {
		for l.flying < batchesAtOnce {
			batch := b.gather(l)
			if len(batch) == 0 {
				break
			}
			l.flying++
			b.wait.Add(1)
			go b.fly(l, batch)
		}
		if l.flying == 0 && len(l.queue) == 0 {
			delete(b.lanes, name)
		}
	}
}

// gather takes the next batch off a lane's queue: no more than one request of a room, and no one whose caller has left.
func (b *batcher) gather(l *lane) []*request {
	var batch []*request
	size, kept, waiting := 0, l.queue[:0], 0
	for i, r := range l.queue {
		if len(batch) == batchRequests || size >= batchBytes {
			for _, r := range l.queue[i:] {
				waiting += r.bytes
			}
			kept = append(kept, l.queue[i:]...)
			break
		}
		if r.abandoned() {
			continue
		}
		if _, busy := b.busy[r.room]; busy {
			kept = append(kept, r)
			waiting += r.bytes
			continue
		}
		b.busy[r.room] = struct{}{}
		batch = append(batch, r)
		size += r.bytes
	}
	clear(l.queue[len(kept):])
	l.queue, l.bytes = kept, waiting
	return batch
}

func (r *request) abandoned() bool {
	select {
	case <-r.left:
		return true
	default:
		return false
	}
}

// size is about how many bytes the request takes.
func (r *request) size() int {
	n := 0
	for _, arg := range r.args {
		switch v := arg.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

func (b *batcher) fly(l *lane, batch []*request) {
	defer b.wait.Done()
	b.note(l.name, batch[0], b.send(batch))
	b.mu.Lock()
	defer b.mu.Unlock()
	l.flying--
	for _, r := range batch {
		delete(b.busy, r.room)
	}
	b.dispatch()
}

// close answers what is queued with errClosed and waits for what is in flight.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	for _, l := range b.lanes {
		for _, r := range l.queue {
			r.done <- answer{err: errClosed}
		}
		l.queue, l.bytes = nil, 0
	}
	b.mu.Unlock()
	b.wait.Wait()
}
