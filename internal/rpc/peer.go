package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// eventTimeout and workTimeout limit requests without a deadline, for one room or for many.
	eventTimeout = 5 * time.Second
	workTimeout  = 5 * time.Minute
)

// peer is a member of a view, for a sender that has that view.
type peer struct {
	peers *Peers
	place actors.Place
}

// Deliver implements actors.Owner.
func (p *peer) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := p.ask(ctx, eventTimeout, p.peers.traced(ctx, eventRequest(p.place.Epoch, e)))
	return err
}

func eventRequest(epoch uint64, e reconcile.Event) *wire.Request {
	size := 320 + len(e.Room.Metadata) + len(e.Participant.Metadata)
	return &wire.Request{Epoch: epoch, Kind: &wire.Request_Deliver{Deliver: wire.AppendEvent(make([]byte, 0, size), &e)}}
}

// traced adds the trace of ctx to a request.
func (p *Peers) traced(ctx context.Context, req *wire.Request) *wire.Request {
	if p.cfg.Inject != nil {
		req.Trace = p.cfg.Inject(ctx)
	}
	return req
}

// isWork reports whether a request is long work and not an event. A kind that this build does not know counts as work.
func isWork(req *wire.Request) bool {
	_, event := req.GetKind().(*wire.Request_Deliver)
	return !event
}

// sizeOf returns the approximate size of a request's encoding.
func sizeOf(req *wire.Request) int {
	if isWork(req) {
		return proto.Size(req)
	}
	return len(req.GetDeliver())
}

// resend returns a copy of a request, to be sent once more: the last copy may still be on its way.
func resend(req *wire.Request) *wire.Request {
	return &wire.Request{Epoch: req.GetEpoch(), Kind: req.GetKind(), Relay: req.GetRelay(), Trace: req.GetTrace()}
}

// Survey implements actors.Owner.
func (p *peer) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	req := &wire.Request{Epoch: p.place.Epoch, Kind: &wire.Request_Survey{Survey: &wire.Survey{Batch: wire.NewBatch(b)}}}
	resp, err := p.ask(ctx, workTimeout, p.peers.traced(ctx, req))
	return resp.GetFindings().Value(), p.whole(err, resp.GetFindings() != nil)
}

// Cleanup implements actors.Owner.
func (p *peer) Cleanup(ctx context.Context, t actors.CleanupRequest) (actors.CleanupResult, error) {
	req := &wire.Request{Epoch: p.place.Epoch, Kind: &wire.Request_Cleanup{Cleanup: &wire.Cleanup{Request: wire.NewCleanupRequest(t)}}}
	resp, err := p.ask(ctx, workTimeout, p.peers.traced(ctx, req))
	return resp.GetCleanupResult().Value(), p.whole(err, resp.GetCleanupResult() != nil)
}

// Names implements actors.Owner.
func (p *peer) Names(ctx context.Context) ([]string, error) {
	resp, err := p.ask(ctx, eventTimeout, &wire.Request{Epoch: p.place.Epoch, Kind: &wire.Request_Names{Names: &wire.Names{}}})
	return resp.GetNames().Value(), p.whole(err, resp.GetNames() != nil)
}

// whole returns an error for a success without a result.
func (p *peer) whole(err error, has bool) error {
	if err == nil && !has {
		return &refusal{addr: p.place.Addr, text: "an answer without a result", is: actors.ErrUnavailable}
	}
	return err
}

// ask sends a request until it is answered, or the node has been out of reach for Config.Wait.
func (p *peer) ask(ctx context.Context, limit time.Duration, req *wire.Request) (*wire.Response, error) {
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = bounded
	}
	size, most := sizeOf(req), p.peers.cfg.Limits.Bytes
	if size > most {
		return nil, fmt.Errorf("%w: %s", actors.ErrUnavailable, tooLarge("a request", size, most))
	}
	l := p.peers.link(p.place.Addr)
	slots := l.events
	if isWork(req) {
		slots = l.work
	}
	if err := slots.acquire(); err != nil {
		return nil, p.full(err)
	}
	defer slots.release(1)
	until := time.Now().Add(p.peers.cfg.Wait)
	if isWork(req) && l.downFor() > p.peers.cfg.Wait {
		until = time.Now() // one attempt: an earlier part of the work has waited already
	}
	for again := 0; ; {
		resp, err := p.attempt(ctx, l, req, size)
		if !errors.Is(err, errLost) {
			return resp, err
		}
		now := time.Now()
		// Long work that was under way is asked for again, however long it took. Twice is enough: after that the way is no good.
		if errors.As(err, new(interrupted)) && isWork(req) && again < 2 {
			until, again = now.Add(p.peers.cfg.Wait), again+1
		}
		if now.Add(redial).After(until) {
			return nil, err
		}
		if wait.For(ctx, redial) != nil {
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// full returns a semaphore's error as callers on this node get it.
func (p *peer) full(err error) error {
	if errors.Is(err, actors.ErrClosing) {
		return errClosed
	}
	return fmt.Errorf("%w (the node at %s)", err, p.place.Addr)
}

// attempt sends a request to the node or, if that is out of reach, through another node. Only events go through another node:
// long work comes from the leader itself.
func (p *peer) attempt(ctx context.Context, l *link, req *wire.Request, size int) (*wire.Response, error) {
	resp, err := l.send(ctx, resend(req), size)
	if err == nil {
		return resp, errorOf(p.place.Addr, resp)
	}
	if !errors.Is(err, errLost) || isWork(req) {
		return nil, err
	}
	relayed := p.peers.relay(ctx, req, p.place.Node)
	if errors.Is(relayed, errLost) {
		return nil, fmt.Errorf("%w; nor through another node: %w", err, relayed)
	}
	return nil, relayed
}

// Relay sends an event to its room's owner through one other node, by that node's view. It is for a node that cannot know the
// owner, because its own claims are refused although its view has not changed. The errors are those of Peer's Deliver.
func (p *Peers) Relay(ctx context.Context, e reconcile.Event) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	return p.relay(ctx, p.traced(ctx, eventRequest(p.cfg.Epoch(), e)), p.cfg.Node)
}

// relay asks the other nodes in turn, the leader first, except the one that is out of reach. The answer of the first node that
// can pass the event on is final.
func (p *Peers) relay(ctx context.Context, req *wire.Request, except string) error {
	req = resend(req)
	req.Relay = true
	err := fmt.Errorf("%w, and there is no other node", errLost)
	leader := p.cfg.Leader()
	members := slices.SortedStableFunc(slices.Values(p.cfg.Members()), func(a, b actors.Place) int {
		return cmp.Compare(oneIf(b.Node == leader), oneIf(a.Node == leader))
	})
	for _, m := range members {
		if m.Node == p.cfg.Node || m.Node == except {
			continue
		}
		var resp *wire.Response
		if resp, err = p.link(m.Addr).send(ctx, resend(req), sizeOf(req)); err == nil {
			err = errorOf(m.Addr, resp)
		}
		if !errors.Is(err, errLost) {
			p.relayed.Add(1)
			return err
		}
	}
	return err
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func tooLarge(what string, size, limit int) string {
	return fmt.Sprintf("%s of %d bytes is too large to go between nodes (%d at most)", what, size, limit)
}
