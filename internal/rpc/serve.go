package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

// errUnread ends the stream of a peer that sends requests and does not read the answers.
var errUnread = errors.New("too many answers are unread")

// served is a peer's stream to this node.
type served struct {
	peers  *Peers
	stream grpc.ServerStream
	wake   chan struct{} // holds one: there is something to send

	mu      sync.Mutex
	over    bool
	answers []answer
	pong    uint64                        // to be sent; 0 for none
	working map[uint64]context.CancelFunc // long work, by call
}

// answer is a response that waits to be sent. Until then its request counts as under way.
type answer struct {
	response *wire.Response
	size     int        // approximate, of its encoding
	slots    *semaphore // nil for a request that was not let in
}

// serve works on a peer's requests until the stream ends, or this node stops and has answered them all. At the end it cancels
// long work, because the peer no longer waits for it; events go on until their deadlines.
func (p *Peers) serve(stream grpc.ServerStream) error {
	s := &served{peers: p, stream: stream, wake: make(chan struct{}, 1), working: map[uint64]context.CancelFunc{}}
	defer s.close()
	ended := make(chan error, 1)
	go func() { ended <- s.read() }()
	for {
		select {
		case <-s.wake:
			runtime.Gosched() // lets others that are about to answer add to the batch
			if err := s.flush(); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-p.drain:
			return s.flush()
		}
	}
}

func (s *served) read() error {
	for {
		batch := new(wire.Requests)
		if err := s.stream.RecvMsg(batch); err != nil {
			return err
		}
		for _, req := range batch.GetRequests() {
			s.accept(req)
		}
		if s.note(batch) > 2*s.peers.cfg.Limits.EventsIn {
			return errUnread
		}
	}
}

// note handles the cancelled calls and the ping of a batch. It returns the number of answers that are not sent yet.
func (s *served) note(batch *wire.Requests) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range batch.GetCancelled() {
		if cancel := s.working[id]; cancel != nil {
			cancel()
		}
	}
	if ping := batch.GetPing(); ping != 0 {
		s.pong = ping
		s.wakeWriter()
	}
	return len(s.answers)
}

func (s *served) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// accept lets a request in and works on it in a goroutine of its own.
func (s *served) accept(req *wire.Request) {
	p, arrived, work := s.peers, time.Now(), isWork(req)
	slots, limit := p.events, eventTimeout
	if work {
		slots, limit = p.work, workTimeout
	}
	if err := slots.acquire(); err != nil {
		s.answer(req, failure(err, p.cfg.Epoch()), nil)
		return
	}
	if req.GetDeadlineMs() == 0 {
		s.answer(req, failure(fmt.Errorf("%w: the request has no time left", actors.ErrUnavailable), 0), slots)
		return
	}
	left := time.Duration(min(req.GetDeadlineMs(), uint64(limit.Milliseconds()))) * time.Millisecond
	ctx, cancel := p.by.At(arrived.Add(left)), func() {}
	if work {
		ctx, cancel = context.WithCancel(ctx)
		s.mu.Lock()
		s.working[req.GetCall()] = cancel
		if s.over { // close has cancelled what it found
			cancel()
		}
		s.mu.Unlock()
	}
	if p.cfg.Extract != nil && len(req.GetTrace()) > 0 {
		ctx = p.cfg.Extract(ctx, req.GetTrace())
	}
	go func() {
		defer cancel()
		s.answer(req, p.handle(ctx, req), slots)
	}()
}

// answer queues a response to be sent.
func (s *served) answer(req *wire.Request, resp *wire.Response, slots *semaphore) {
	size, most := len(resp.GetText())+16, s.peers.cfg.Limits.Bytes
	if resp.GetResult() != nil {
		size = proto.Size(resp)
	}
	if size > most {
		resp = &wire.Response{Code: wire.Code_CODE_UNAVAILABLE, Text: []byte(tooLarge("an answer", size, most))}
	}
	resp.Call = req.GetCall()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.working, resp.Call)
	if s.over {
		slots.release(1)
		return
	}
	s.answers = append(s.answers, answer{resp, size, slots})
	s.wakeWriter()
}

// flush sends the answers that have gathered, in batches.
func (s *served) flush() error {
	for {
		batch, sent := s.take()
		if batch == nil {
			return nil
		}
		err := s.stream.SendMsg(wire.WithLater(batch))
		events, work := 0, 0
		for _, a := range sent {
			switch a.slots {
			case s.peers.events:
				events++
			case s.peers.work:
				work++
			}
		}
		s.peers.events.release(events)
		s.peers.work.release(work)
		if err != nil {
			return err
		}
	}
}

// take returns the next batch, or nil if nothing is waiting. A pong goes with the last answers.
func (s *served) take() (*wire.Responses, []answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 && s.pong == 0 {
		return nil, nil
	}
	batch, n, bytes := &wire.Responses{}, 0, 0
	for ; n < len(s.answers) && (bytes == 0 || bytes+s.answers[n].size <= batchBytes); n++ {
		batch.Responses = append(batch.Responses, s.answers[n].response)
		bytes += s.answers[n].size
	}
	sent := s.answers[:n:n]
	s.answers = s.answers[n:]
	if len(s.answers) == 0 {
		s.answers = nil // sent uses its array
	}
	if len(s.answers) == 0 && s.pong != 0 {
		batch.Pong, s.pong = s.pong, 0
		for call := range s.working {
			batch.Working = append(batch.Working, call)
		}
	}
	return batch, sent
}

// close drops the answers of a stream that has ended and cancels its long work, because nobody reads the answers any more.
func (s *served) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, a := range s.answers {
		a.slots.release(1)
	}
	s.answers = nil
	for _, cancel := range s.working {
		cancel()
	}
}

// handle does what a request asks for. It refuses a request whose deadline has passed or whose sender's view is newer.
func (p *Peers) handle(ctx context.Context, req *wire.Request) (resp *wire.Response) {
	defer func() {
		if crash := recover(); crash != nil {
			if p.cfg.Contained != nil {
				p.cfg.Contained()
			}
			p.cfg.Log.Error("a request of another node crashed", "crash", crash, "stack", string(debug.Stack()))
			resp = failure(fmt.Errorf("%w: the request crashed", actors.ErrUnavailable), 0)
		}
	}()
	if err := ctx.Err(); err != nil {
		return failure(fmt.Errorf("%w: the request came too late: %w", actors.ErrUnavailable, err), 0)
	}
	own := p.cfg.Epoch()
	switch {
	case req.GetEpoch() > own:
		return failure(fmt.Errorf("%w yet: the view of epoch %d has not come: %w", actors.ErrNotOwner, req.GetEpoch(), actors.NotOwner{Epoch: own}), own)
	case isWork(req):
		return p.dispatch(ctx, req)
	}
	event, err := wire.ParseEvent(req.GetDeliver())
	switch {
	case err != nil:
		return unsupported(err.Error())
	case len(req.GetDeliver()) == 0:
		return unsupported("a delivery without an event")
	case req.GetRelay():
		return p.forward(ctx, event, own)
	}
	return failure(p.cfg.Host.Deliver(ctx, event), own)
}

func unsupported(text string) *wire.Response {
	return &wire.Response{Code: wire.Code_CODE_UNSUPPORTED, Text: []byte(text)}
}

// forward passes an event on to the room's owner by this node's view: directly, or not at all.
func (p *Peers) forward(ctx context.Context, event reconcile.Event, own uint64) *wire.Response {
	place, err := p.cfg.Owner(event.Room.Name)
	switch {
	case errors.Is(err, actors.ErrUnavailable): // this node is out of contact, too: another may know
		return &wire.Response{Code: wire.Code_CODE_UNREACHABLE, Text: []byte(err.Error())}
	case err != nil:
		return failure(err, own)
	case place.Node == p.cfg.Node:
		return failure(p.cfg.Host.Deliver(ctx, event), own)
	}
	req := p.traced(ctx, eventRequest(place.Epoch, event))
	resp, err := p.link(place.Addr).send(ctx, req, sizeOf(req))
	switch {
	case errors.Is(err, errLost):
		return &wire.Response{Code: wire.Code_CODE_UNREACHABLE, Text: []byte(err.Error())}
	case err != nil:
		return failure(err, own)
	}
	return &wire.Response{Code: resp.GetCode(), Epoch: resp.GetEpoch(), Text: resp.GetText()}
}

// dispatch does long work.
func (p *Peers) dispatch(ctx context.Context, req *wire.Request) *wire.Response {
	if req.GetRelay() {
		return unsupported("only events are passed on")
	}
	var result wire.Response
	var err error
	switch kind := req.GetKind().(type) {
	case *wire.Request_Survey:
		var found actors.Findings
		found, err = p.cfg.Host.Survey(ctx, kind.Survey.GetBatch().Value())
		result.Result = &wire.Response_Findings{Findings: wire.NewFindings(found)}
	case *wire.Request_Cleanup:
		var cleaned actors.CleanupResult
		cleaned, err = p.cfg.Host.Cleanup(ctx, kind.Cleanup.GetRequest().Value())
		result.Result = &wire.Response_CleanupResult{CleanupResult: wire.NewCleanupResult(cleaned)}
	case *wire.Request_Names:
		var names []string
		names, err = p.cfg.Host.Names(ctx)
		result.Result = &wire.Response_Names{Names: wire.NewNameList(names)}
	default:
		return unsupported("a request that this build does not know")
	}
	resp := failure(err, p.cfg.Epoch())
	resp.Result = result.Result
	return resp
}
