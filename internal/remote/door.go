package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// The two names in the actor system that peers may send to.
const (
	doorName    = "door"
	answersName = "answers"
)

// receive is the door's mailbox. It never waits: each request is worked on beside it.
func (r *Remote) receive(c actor.Context) {
	req, ok := c.Message().(*wire.Request)
	if !ok || c.Sender() == nil {
		return
	}
	sender, arrived := c.Sender(), time.Now()
	if err := r.served.take(); err != nil {
		r.answer(sender, req, failure(err, r.cfg.Epoch()))
		return
	}
	go func() {
		defer r.served.give()
		r.answer(sender, req, r.work(req, arrived))
	}()
}

// work does what a request asks for. One whose time has passed, or whose sender's view is ahead, is refused.
func (r *Remote) work(req *wire.Request, arrived time.Time) (resp *wire.Response) {
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("a request of another node crashed", "crash", p)
			resp = failure(fmt.Errorf("%w: the request crashed", actors.ErrUnavailable), 0)
		}
	}()
	left := time.Duration(min(req.GetDeadlineMs(), uint64(patiently.Milliseconds()))) * time.Millisecond
	ctx, cancel := context.WithDeadline(r.life, arrived.Add(left))
	defer cancel()
	if err := ctx.Err(); err != nil {
		return failure(fmt.Errorf("%w: the request came too late: %w", actors.ErrUnavailable, err), 0)
	}
	if own := r.cfg.Epoch(); req.GetEpoch() > own {
		return failure(fmt.Errorf("%w yet: the view of epoch %d has not come: %w", actors.ErrNotOwner, req.GetEpoch(), actors.NotOwner{Epoch: own}), own)
	}
	return r.dispatch(ctx, req)
}

func (r *Remote) dispatch(ctx context.Context, req *wire.Request) *wire.Response {
	host, err := r.cfg.Host, error(nil)
	var result wire.Response
	switch kind := req.GetKind().(type) {
	case *wire.Request_Deliver:
		if kind.Deliver.GetEvent() == nil {
			return &wire.Response{Code: wire.Code_CODE_UNSUPPORTED, Text: []byte("a delivery without an event")}
		}
		err = host.Deliver(ctx, kind.Deliver.GetEvent().Value())
	case *wire.Request_Survey:
		var found actors.Findings
		found, err = host.Survey(ctx, kind.Survey.GetBatch().Value())
		result.Result = &wire.Response_Findings{Findings: wire.NewFindings(found)}
	case *wire.Request_Tend:
		var tended actors.Tended
		tended, err = host.Tend(ctx, kind.Tend.GetTending().Value())
		result.Result = &wire.Response_Tended{Tended: wire.NewTended(tended)}
	case *wire.Request_Names:
		var names []string
		names, err = host.Names(ctx)
		result.Result = &wire.Response_Names{Names: wire.NewNameList(names)}
	default:
		return &wire.Response{Code: wire.Code_CODE_UNSUPPORTED, Text: []byte("a request that this build does not know")}
	}
	resp := failure(err, r.cfg.Epoch())
	resp.Result = result.Result
	return resp
}

// answer puts a response on its way.
func (r *Remote) answer(to *actor.PID, req *wire.Request, resp *wire.Response) {
	if size := proto.Size(resp); size > r.cfg.Limits.Bytes {
		resp = &wire.Response{Code: wire.Code_CODE_UNAVAILABLE, Text: []byte(tooLarge("an answer", size, r.cfg.Limits.Bytes))}
	}
	resp.Call = req.GetCall()
	r.links.outbox.add(to.GetAddress())
	r.send(to, resp, nil)
}

// slots bound the requests that are worked on.
type slots struct {
	limit int

	mu     sync.Mutex
	used   int
	closed bool
	all    sync.WaitGroup
}

// take errors: ErrBusy, ErrClosing.
func (s *slots) take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return actors.ErrClosing
	case s.used >= s.limit:
		return actors.ErrBusy
	}
	s.used++
	s.all.Add(1)
	return nil
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.all.Done()
}

// close refuses new requests; the group ends with the last of those at work.
func (s *slots) close() *sync.WaitGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return &s.all
}
