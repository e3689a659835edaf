package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// shortly and patiently are the deadlines of requests that come without: of one room, or of many.
	shortly   = 5 * time.Second
	patiently = 5 * time.Minute
	// redial is how long a peer that could not be reached is left alone.
	redial = 100 * time.Millisecond
)

// peer is a node at an address, for a sender whose view is that of epoch.
type peer struct {
	remote *Remote
	addr   string
	epoch  uint64
}

// Peer is the node at addr, as the view of epoch has it; it refuses, with a NotOwner, while its own view is behind. It is
// cheap to make. Besides the peer's errors its calls return ErrBusy when too many are under way, and ErrUnavailable when the
// peer cannot be reached within Config.Wait, or ctx ends. Without a deadline of ctx's, one to one room ends after 5 s, and
// one to many after 5 min.
func (r *Remote) Peer(addr string, epoch uint64) actors.Owner {
	if addr == r.Addr() {
		return r.cfg.Host
	}
	return &peer{r, addr, epoch}
}

// Deliver implements actors.Owner.
func (p *peer) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := p.ask(ctx, shortly, &wire.Request{Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: wire.NewEvent(e)}}})
	return err
}

// Survey implements actors.Owner.
func (p *peer) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	resp, err := p.ask(ctx, patiently, &wire.Request{Kind: &wire.Request_Survey{Survey: &wire.Survey{Batch: wire.NewBatch(b)}}})
	return resp.GetFindings().Value(), p.whole(err, resp.GetFindings() != nil)
}

// Tend implements actors.Owner.
func (p *peer) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	resp, err := p.ask(ctx, patiently, &wire.Request{Kind: &wire.Request_Tend{Tend: &wire.Tend{Tending: wire.NewTending(t)}}})
	return resp.GetTended().Value(), p.whole(err, resp.GetTended() != nil)
}

// Names implements actors.Owner.
func (p *peer) Names(ctx context.Context) ([]string, error) {
	resp, err := p.ask(ctx, shortly, &wire.Request{Kind: &wire.Request_Names{Names: &wire.Names{}}})
	return resp.GetNames().Value(), p.whole(err, resp.GetNames() != nil)
}

// whole makes an error of success without a result.
func (p *peer) whole(err error, has bool) error {
	if err == nil && !has {
		return &refusal{addr: p.addr, text: "an answer without a result", is: actors.ErrUnavailable}
	}
	return err
}

// ask sends a request until it is answered, or trouble with the link has lasted for Config.Wait.
func (p *peer) ask(ctx context.Context, limit time.Duration, req *wire.Request) (*wire.Response, error) {
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = bounded
	}
	r := p.remote
	if size := proto.Size(req); size > r.cfg.Limits.Bytes {
		return nil, fmt.Errorf("%w: %s", actors.ErrUnavailable, tooLarge("a request", size, r.cfg.Limits.Bytes))
	}
	if err := r.calls.enter(p.addr); err != nil {
		return nil, err
	}
	defer r.calls.leave(p.addr)
	req.Epoch = p.epoch
	for patience := (time.Time{}); ; {
		began := time.Now()
		resp, err := p.attempt(ctx, req)
		if !errors.Is(err, errLost) {
			return resp, err
		}
		now := time.Now()
		if patience.IsZero() || now.Sub(began) > r.cfg.Wait { // not the trouble of before, if any
			patience = now.Add(r.cfg.Wait)
		}
		if now.Add(redial).After(patience) {
			return nil, err
		}
		if pause(ctx, redial) != nil {
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

func tooLarge(what string, size, limit int) string {
	return fmt.Sprintf("%s of %d bytes is too large to go between nodes (%d at most)", what, size, limit)
}

// pause is a sleep that ends with ctx, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *peer) attempt(ctx context.Context, req *wire.Request) (*wire.Response, error) {
	r := p.remote
	if err := r.links.down(p.addr); err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	one := r.calls.begin(p.addr, deadline, req)
	defer r.calls.forget(one)
	r.send(actor.NewPID(p.addr, doorName), &outgoing{one}, r.sender)
	select {
	case o := <-one.done:
		if o.err != nil {
			return nil, o.err
		}
		return o.response, verdict(p.addr, o.response)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
	case <-r.life.Done():
		return nil, errClosed
	}
}
