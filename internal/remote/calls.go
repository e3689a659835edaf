package remote

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// calls are this node's requests that are under way, by the number that their answer brings back.
type calls struct {
	limit int // of those to one peer

	mu     sync.Mutex
	next   uint64
	open   map[uint64]*call
	peers  map[string]*flight
	closed bool
	all    sync.WaitGroup
}

// flight is what is under way to one peer.
type flight struct {
	calls map[uint64]*call
	count int // with those that wait to be sent
}

// call is one attempt at a request.
type call struct {
	id       uint64
	addr     string
	deadline time.Time
	request  atomic.Pointer[wire.Request] // nil once nobody waits, so that what is stuck in a queue is small
	done     chan outcome                 // buffered: nobody waits for a caller that has gone
}

type outcome struct {
	response *wire.Response
	err      error
}

// newCalls begins its numbers anywhere: answers to the process that had this address before must find no call of ours.
func newCalls(limit int) *calls {
	return &calls{limit: limit, next: rand.Uint64(), open: map[uint64]*call{}, peers: map[string]*flight{}}
}

// enter takes a place among the requests to a peer. Errors: ErrBusy, errClosed.
func (c *calls) enter(addr string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.peers[addr]
	switch {
	case c.closed:
		return errClosed
	case f == nil:
		f = &flight{calls: map[uint64]*call{}}
		c.peers[addr] = f
	case f.count >= c.limit:
		return fmt.Errorf("%w for the node at %s", actors.ErrBusy, addr)
	}
	f.count++
	c.all.Add(1)
	return nil
}

func (c *calls) leave(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.peers[addr]
	if f.count--; f.count == 0 {
		delete(c.peers, addr)
	}
	c.all.Done()
}

// begin makes a call of a request that has entered.
func (c *calls) begin(addr string, deadline time.Time, req *wire.Request) *call {
	one := &call{addr: addr, deadline: deadline, done: make(chan outcome, 1)}
	one.request.Store(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	one.id = c.next
	c.open[one.id] = one
	c.peers[addr].calls[one.id] = one
	return one
}

// forget ends a call: an answer that comes later finds nobody.
func (c *calls) forget(one *call) {
	one.request.Store(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, one.id)
	delete(c.peers[one.addr].calls, one.id)
}

func (c *calls) answered(resp *wire.Response) {
	c.mu.Lock()
	one := c.open[resp.GetCall()]
	c.mu.Unlock()
	if one != nil {
		one.settle(outcome{response: resp})
	}
}

// lost settles all that is under way to a peer.
func (c *calls) lost(addr string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.peers[addr]; f != nil {
		for _, one := range f.calls {
			one.settle(outcome{err: err})
		}
	}
}

func (c *call) settle(o outcome) {
	select {
	case c.done <- o:
	default: // settled before
	}
}

// close refuses new requests; the group ends with the last of those under way.
func (c *calls) close() *sync.WaitGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return &c.all
}

// answers is the process that peers answer to.
type answers struct{ calls *calls }

func (a answers) SendUserMessage(_ *actor.PID, message any) {
	if resp, ok := actor.UnwrapEnvelopeMessage(message).(*wire.Response); ok {
		a.calls.answered(resp)
	}
}

func (a answers) SendSystemMessage(*actor.PID, any) {}

func (a answers) Stop(*actor.PID) {}
