package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// The bounds of batches: large enough to fill a round trip, small enough that Redis stays fast for others and that a batch of large rooms
// finishes within Patience.
const (
	batchRequests = 128
	batchBytes    = 4 << 20
)

// While a batch is in flight, a second one leaves once secondFrom requests wait, so that Redis does not wait for this node in between. A smaller
// second batch would cost Redis and this node more for each request than that gains.
const secondFrom = 20

// The bounds of the requests that wait for one shard. Further requests are refused.
const (
	laneRequests = 16384
	laneBytes    = 128 << 20
)

// errClosed is the answer to requests after Close.
var errClosed = errors.New("the store is closed")

// errQueue is the answer to requests beyond the bounds of a lane, when Redis is slow or hangs.
var errQueue = errors.New("too many requests already wait for this Redis")

// request is a script to run on one room's keys.
type request struct {
	room   string
	script script
	keys   []string
	args   []any
	// patient requests wait for a silent shard. LiveKit retries a webhook only a few times, so a webhook waits for the failover as long as it
	// may.
	patient bool
	space   *commitSpace // of a commit: what args point to
	staged  *staged      // of a commit with a large value

	bytes int             // size, set when it is queued
	left  <-chan struct{} // closed when its caller has left; a request that has not been sent by then is skipped
	done  chan answer     // buffered for one answer, so that nobody blocks on a caller that left
}

// answer is a script's reply without its first element (the outcome), or an error.
type answer struct {
	reply []any
	err   error
}

// batcher sends a request at once if no batch is in flight. Otherwise it collects requests until the batch returns or, if none but that one is in
// flight, until many wait. Each shard has its own lane with its own batches in flight, so a shard that hangs delays no room of another. A room has
// at most one request in flight, so its requests keep their order even if it moves to another shard.
type batcher struct {
	send func([]*request) error // answers every request; returns an error if Redis answered none of them
	lane func(context.Context, *request) string
	// check returns why a lane takes no requests that are not patient, or nil; note receives the result of each batch.
	check func(lane string) error
	note  func(lane string, r *request, err error)

	mu     sync.Mutex
	lanes  map[string]*lane
	busy   map[string]struct{} // rooms in flight
	closed bool
	wait   sync.WaitGroup
}

// lane holds the requests for one shard.
type lane struct {
	name   string
	queue  []*request
	bytes  int // total size of queue
	flying int // how many batches are in flight
}

// newBatcher returns a batcher with one lane.
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

// dispatch starts a batch for each lane that has requests, as far as batches in flight allow it. The caller holds mu.
func (b *batcher) dispatch() {
	for name, l := range b.lanes {
		if l.flying > 1 || l.flying == 1 && len(l.queue) < secondFrom {
			continue
		}
		if batch := b.gather(l); len(batch) > 0 {
			l.flying++
			b.wait.Go(func() { b.fly(l, batch) })
		}
		if l.flying == 0 && len(l.queue) == 0 {
			delete(b.lanes, name)
		}
	}
}

// gather takes the next batch off a lane's queue. It takes at most one request of each room, and drops requests whose caller has left.
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

// size returns about how many bytes the request takes. Numbers are short.
func (r *request) size() int {
	n := 0
	for _, arg := range r.args {
		switch v := arg.(type) {
		case string:
			n += len(v)
		case *string:
			n += len(*v)
		case []byte:
			n += len(v)
		}
	}
	if r.staged != nil {
		n += len(r.staged.value)
	}
	return n
}

func (b *batcher) fly(l *lane, batch []*request) {
	b.note(l.name, batch[0], b.send(batch))
	b.mu.Lock()
	defer b.mu.Unlock()
	l.flying--
	for _, r := range batch {
		delete(b.busy, r.room)
	}
	b.dispatch()
}

// close answers queued requests with errClosed and waits for those in flight.
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
