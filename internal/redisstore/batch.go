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

// errClosed answers what comes after Close.
var errClosed = errors.New("the store is closed")

// request is a script to run on one room's keys.
type request struct {
	room   string
	script script
	keys   []string
	args   []any
	list   bool // put the room on the index
	unlist bool // once done, take the room off the index and list its record

	left <-chan struct{} // closed when its caller has left; a request that was not sent by then is skipped
	done chan answer     // holds one, so that nobody waits for a caller that left
}

// answer is a script's reply, its first element (the outcome) cut off, or an error.
type answer struct {
	reply []any
	err   error
}

// batcher gathers requests while batches are in flight and sends what has gathered when one returns; it never lingers.
// A room has at most one request in flight: a room's requests keep their order, even over several connections.
type batcher struct {
	send func([]*request) // answers every request

	mu     sync.Mutex
	queue  []*request
	busy   map[string]struct{} // rooms in flight
	flying int
	closed bool
	wait   sync.WaitGroup
}

func newBatcher(send func([]*request)) *batcher {
	return &batcher{send: send, busy: map[string]struct{}{}}
}

// do sends r and waits for its answer, but not past ctx.
func (b *batcher) do(ctx context.Context, r *request) ([]any, error) {
	r.left, r.done = ctx.Done(), make(chan answer, 1)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("not sent: %w", err)
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, errClosed
	}
	b.queue = append(b.queue, r)
	b.dispatch()
	b.mu.Unlock()
	select {
	case a := <-r.done:
		return a.reply, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

// dispatch starts batches while it may. It holds mu.
func (b *batcher) dispatch() {
	for b.flying < batchesAtOnce {
		batch := b.gather()
		if len(batch) == 0 {
			return
		}
		b.flying++
		b.wait.Add(1)
		go b.fly(batch)
	}
}

// gather takes the next batch off the queue: no more than one request of a room, and no one whose caller has left.
func (b *batcher) gather() []*request {
	var batch []*request
	size, kept := 0, b.queue[:0]
	for i, r := range b.queue {
		if len(batch) == batchRequests || size >= batchBytes {
			kept = append(kept, b.queue[i:]...)
			break
		}
		if r.abandoned() {
			continue
		}
		if _, busy := b.busy[r.room]; busy {
			kept = append(kept, r)
			continue
		}
		b.busy[r.room] = struct{}{}
		batch = append(batch, r)
		size += r.size()
	}
	clear(b.queue[len(kept):])
	b.queue = kept
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

func (b *batcher) fly(batch []*request) {
	defer b.wait.Done()
	b.send(batch)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	for _, r := range batch {
		delete(b.busy, r.room)
	}
	b.dispatch()
}

// close answers what is queued with errClosed and waits for what is in flight.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	for _, r := range b.queue {
		r.done <- answer{err: errClosed}
	}
	b.queue = nil
	b.mu.Unlock()
	b.wait.Wait()
}
