package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

var (
	errSilent = fmt.Errorf("nothing has come back for %v", silence)
	errEnded  = errors.New("the node has ended the stream: it stops, or has restarted")
	// errForgotten means that the peer has not answered a request for long work, and does not work on it any more.
	errForgotten = fmt.Errorf("%w: it does not work on the request any more", errLost)
)

// interrupted is the errLost of a request that was sent: the peer was reached until then.
type interrupted struct{ error }

// Unwrap returns the errLost.
func (i interrupted) Unwrap() error { return i.error }

// session is one stream to a peer, from its first sign of life to its end.
type session struct {
	link   *link
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	ctx    context.Context // the stream's
	end    context.CancelFunc
	under  wireConn
	wake   chan struct{} // holds one: there is something to send

	mu        sync.Mutex
	failed    error // why nothing can be sent any more; not an errLost yet
	lastCall  uint64
	calls     map[uint64]*call // that wait for an answer
	queue     []*call          // that wait to be sent
	cancelled []uint64
	lastPing  uint64 // the highest number given to a ping
	pingDue   bool   // the ping of that number is still to be sent
	pongs     map[uint64]chan struct{}
	watching  bool // the watch timer runs
	vigil     vigil
	timer     *time.Timer
}

// vigil decides since when a peer's silence counts.
type vigil struct {
	from time.Time
	tick time.Time // the last check
}

// silentSince returns since when silence counts for a check at that time. After a check that comes late, silence counts from that check on: this
// process itself stood still, and answers may have come that it has not read.
func (v *vigil) silentSince(now time.Time) time.Time {
	if now.Sub(v.tick) > 3*pingEvery {
		v.from = now
	}
	v.tick = now
	return v.from
}

// call is one attempt at a request.
type call struct {
	id       uint64
	request  *wire.Request // for this sending alone
	size     int           // approximate, of its encoding
	deadline time.Time
	covered  uint64       // the first ping sent after the request; 0 before it is sent
	done     chan outcome // buffered, for one outcome
}

type outcome struct {
	response *wire.Response
	err      error
}

// openSession opens a session and returns it once the peer has answered a ping.
func openSession(ctx context.Context, l *link) (_ *session, err error) {
	s := &session{link: l, wake: make(chan struct{}, 1), calls: map[uint64]*call{}, pongs: map[uint64]chan struct{}{}}
	if s.conn, err = l.peers.dial(l.addr, &s.under); err != nil {
		return nil, err
	}
	s.ctx, s.end = context.WithCancel(l.peers.life)
	stop := context.AfterFunc(ctx, s.end) // when the attempt's time is over
	defer stop()
	desc := linkStream()
	if s.stream, err = s.conn.NewStream(s.ctx, &desc, linkMethod); err != nil {
		s.end()
		s.under.cut()
		_ = s.conn.Close()
		return nil, plain(err)
	}
	go s.write()
	go s.read()
	err = s.ping(ctx)
	if ctx.Err() != nil {
		err = fmt.Errorf("it does not answer within %v", dialTimeout)
	}
	if err != nil {
		s.fail(err)
		return nil, err
	}
	return s, nil
}

// plain returns a gRPC error without the parts that only programmers need.
func plain(err error) error {
	if errors.Is(err, io.EOF) {
		return errEnded
	}
	return errors.New(status.Convert(err).Message())
}

// send sends a request and waits for its answer.
func (s *session) send(ctx context.Context, req *wire.Request, size int) (*wire.Response, error) {
	deadline, _ := ctx.Deadline()
	c := &call{request: req, size: size, deadline: deadline, done: make(chan outcome, 1)}
	if err := s.begin(c); err != nil {
		return nil, s.lost(err)
	}
	select {
	case o := <-c.done:
		return o.response, o.err
	case <-ctx.Done():
		s.forget(c)
		return nil, fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
	}
}

func (s *session) begin(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	s.lastCall++
	c.id = s.lastCall
	s.calls[c.id] = c
	s.queue = append(s.queue, c)
	s.watchLocked()
	s.wakeWriter()
	return nil
}

// wakeWriter wakes the writer.
func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// forget ends a call that nobody waits for any more, here and at the peer.
func (s *session) forget(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[c.id] == nil {
		return
	}
	delete(s.calls, c.id)
	if c.covered != 0 && isWork(c.request) {
		s.cancelled = append(s.cancelled, c.id)
		s.wakeWriter()
	}
}

// ping sends a ping and returns once the peer has answered it.
func (s *session) ping(ctx context.Context) error {
	s.mu.Lock()
	if s.failed != nil {
		defer s.mu.Unlock()
		return s.failed
	}
	pong := make(chan struct{})
	s.lastPing++
	s.pingDue = true
	s.pongs[s.lastPing] = pong
	s.watchLocked()
	s.wakeWriter()
	s.mu.Unlock()
	select {
	case <-pong:
		return nil
	case <-s.ctx.Done():
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return fmt.Errorf("it does not answer: %w", context.DeadlineExceeded)
}

// write sends what is waiting, in batches.
func (s *session) write() {
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		runtime.Gosched() // lets others that are about to send something add to the batch
		for batch := s.take(); batch != nil; batch = s.take() {
			if s.stream.SendMsg(wire.WithLater(batch)) != nil {
				return // read gets the reason
			}
		}
	}
}

// take returns the next batch, or nil if nothing is waiting. A request carries the time that it has left when it is sent. A
// request with no time left is not sent.
func (s *session) take() *wire.Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := &wire.Requests{Cancelled: s.cancelled}
	s.cancelled = nil
	covered := s.lastPing + 1
	if s.pingDue {
		batch.Ping, covered, s.pingDue = s.lastPing, s.lastPing, false
	}
	now, n, bytes := time.Now(), 0, 0
	for ; n < len(s.queue) && (bytes == 0 || bytes+s.queue[n].size <= batchBytes); n++ {
		c := s.queue[n]
		left := c.deadline.Sub(now).Milliseconds()
		if s.calls[c.id] == nil || left <= 0 {
			continue
		}
		c.covered, bytes = covered, bytes+c.size
		c.request.Call, c.request.DeadlineMs = c.id, uint64(left)
		batch.Requests = append(batch.Requests, c.request)
	}
	s.queue = slices.Delete(s.queue, 0, n)
	if len(s.queue) > 0 {
		s.wakeWriter()
	}
	if len(batch.Requests) == 0 && len(batch.Cancelled) == 0 && batch.Ping == 0 {
		return nil
	}
	return batch
}

// read receives the answers until the stream ends.
func (s *session) read() {
	for {
		batch := new(wire.Responses)
		if err := s.stream.RecvMsg(batch); err != nil {
			s.fail(plain(err))
			return
		}
		s.settle(batch)
	}
}

func (s *session) settle(batch *wire.Responses) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch.GetResponses() {
		s.settled(r.GetCall(), outcome{response: r})
	}
	pong := batch.GetPong()
	if pong == 0 {
		return
	}
	for n, waits := range s.pongs {
		if n <= pong {
			close(waits)
			delete(s.pongs, n)
		}
	}
	for id, c := range s.calls {
		if isWork(c.request) && c.covered != 0 && c.covered <= pong && !slices.Contains(batch.GetWorking(), id) {
			s.settled(id, outcome{err: interrupted{errForgotten}})
		}
	}
}

// settled gives a call its outcome. It ignores an answer that comes too late. s.mu must be held.
func (s *session) settled(id uint64, o outcome) {
	if c := s.calls[id]; c != nil {
		delete(s.calls, id)
		c.done <- o
	}
}

// watchLocked begins to watch for silence. The watch costs nothing while no answer is due. s.mu must be held.
func (s *session) watchLocked() {
	if s.watching {
		return
	}
	s.watching, s.vigil = true, vigil{from: time.Now(), tick: time.Now()}
	if s.timer == nil {
		s.timer = time.AfterFunc(pingEvery, s.watch)
		return
	}
	s.timer.Reset(pingEvery)
}

// watch asks a peer that owes answers for a sign of life, and gives up a peer that has given none for too long.
func (s *session) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || len(s.calls) == 0 && len(s.pongs) == 0 {
		s.watching = false
		return
	}
	silent := s.under.silent(s.vigil.silentSince(time.Now()))
	if silent > silence {
		go s.fail(errSilent)
		return
	}
	if !s.pingDue && (silent >= pingEvery || s.hasWork()) {
		s.lastPing++
		s.pingDue = true
		s.wakeWriter()
	}
	s.timer.Reset(pingEvery)
}

func (s *session) hasWork() bool {
	for _, c := range s.calls {
		if isWork(c.request) {
			return true
		}
	}
	return false
}

// failure returns why the session has failed, or nil.
func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// lost returns the error of a request after a failure of the session.
func (s *session) lost(why error) error {
	if errors.Is(why, errClosed) {
		return why
	}
	return s.link.lost(why)
}

// fail ends the session. The work of requests that were sent over it may have been done.
func (s *session) fail(why error) {
	s.mu.Lock()
	first := s.failed == nil
	if first {
		s.failed = why
		for id := range s.calls {
			s.settled(id, outcome{err: interrupted{s.lost(why)}})
		}
		s.queue, s.cancelled = nil, nil
	}
	s.mu.Unlock()
	if first {
		s.link.ended(s, why)
	}
	s.end()
	s.under.cut()
	_ = s.conn.Close()
}
