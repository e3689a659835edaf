package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

// countingHost does all work at once, and counts it.
type countingHost struct{ events, work int }

func (h *countingHost) Deliver(context.Context, reconcile.Event) error { h.events++; return nil }

func (h *countingHost) Survey(context.Context, actors.Batch) (actors.Findings, error) {
	h.work++
	return actors.Findings{}, nil
}

func (h *countingHost) Cleanup(context.Context, actors.CleanupRequest) (actors.CleanupResult, error) {
	h.work++
	return actors.CleanupResult{}, nil
}

func (h *countingHost) Names(context.Context) ([]string, error) { h.work++; return nil, nil }

// FuzzRequests handles batches of requests from another node. It checks that each is done once, or answered with what is wrong with it.
func FuzzRequests(f *testing.F) {
	event := wire.AppendEvent(nil, &reconcile.Event{ID: "EV", Kind: 1, Room: reconcile.RoomInfo{Name: "r"}})
	unknown := &wire.Request{Call: 8}
	unknown.ProtoReflect().SetUnknown([]byte{0xfa, 0x07, 1, 'x'}) // field 127: a kind of another build
	seed, err := proto.Marshal(&wire.Requests{Requests: []*wire.Request{unknown, {Call: 1, Epoch: 7, Kind: &wire.Request_Deliver{Deliver: event}},
		{Call: 2, Epoch: 8, Kind: &wire.Request_Deliver{Deliver: event}}, {Call: 3, Kind: &wire.Request_Deliver{Deliver: []byte{0x0a, 0xff}}},
		{Call: 4, Relay: true, Kind: &wire.Request_Deliver{Deliver: event}}, {Call: 5, Kind: &wire.Request_Survey{}},
		{Call: 6, Relay: true, Kind: &wire.Request_Names{Names: &wire.Names{}}}, {Call: 7, Kind: &wire.Request_Cleanup{Cleanup: &wire.Cleanup{}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	host := &countingHost{}
	const own = 7
	p := New(Config{Node: "n1", Host: host, Epoch: func() uint64 { return own }, Log: slog.New(slog.DiscardHandler),
		Owner: func(string) (actors.Place, error) { return actors.Place{Node: "n1", Epoch: own}, nil }})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var batch wire.Requests
		if proto.Unmarshal(raw, &batch) != nil {
			return
		}
		for _, req := range batch.GetRequests() {
			*host = countingHost{}
			resp := p.handle(t.Context(), req)
			done := host.events + host.work
			if code := resp.GetCode(); code == wire.Code_CODE_OK && done != 1 || code != wire.Code_CODE_OK && (done != 0 || len(resp.GetText()) == 0) {
				t.Fatalf("%v is answered with %v, done %+v", req, resp, host)
			}
			if host.events == 1 && (isWork(req) || req.GetEpoch() > own) || host.work == 1 && (!isWork(req) || req.GetRelay() || req.GetEpoch() > own) {
				t.Fatalf("%v did %+v", req, host)
			}
			if strings.Contains(string(resp.GetText()), "crashed") {
				t.Fatalf("%v: %s", req, resp.GetText())
			}
			if _, err := proto.Marshal(resp); err != nil {
				t.Fatalf("%v cannot be sent: %v", resp, err)
			}
		}
	})
}

// FuzzResponses handles batches of answers from another node. It checks that each call gets the first answer to it, or none.
func FuzzResponses(f *testing.F) {
	for _, batch := range []*wire.Responses{
		{Responses: []*wire.Response{{Call: 1, Code: wire.Code_CODE_OK}, {Call: 1, Code: wire.Code_CODE_BUSY}, {Call: 9, Code: 99}}},
		{Pong: 1, Working: []uint64{2}}, {Pong: 5}, {Pong: 1 << 63, Responses: []*wire.Response{{Call: 3, Text: []byte("why")}}},
	} {
		seed, err := proto.Marshal(batch)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var batch wire.Responses
		if proto.Unmarshal(raw, &batch) != nil {
			return
		}
		s := &session{calls: map[uint64]*call{}, pongs: map[uint64]chan struct{}{1: make(chan struct{})}, lastPing: 1}
		calls := map[uint64]*call{}
		for id := range uint64(4) {
			c := &call{id: id, covered: 1, done: make(chan outcome, 1), deadline: time.Now().Add(time.Hour), request: &wire.Request{Kind: &wire.Request_Names{}}}
			if id == 3 {
				c.request.Kind = &wire.Request_Deliver{}
			}
			s.calls[id], calls[id] = c, c
		}
		s.settle(&batch)
		for id, c := range calls {
			var first *wire.Response
			for _, r := range batch.GetResponses() {
				if r.GetCall() == id && first == nil {
					first = r
				}
			}
			select {
			case o := <-c.done:
				lost := errors.Is(o.err, errLost) && first == nil && isWork(c.request) && batch.GetPong() > 0
				if !lost && (first == nil || o.response != first) || s.calls[id] != nil {
					t.Fatalf("call %d ends with %v, %v; its first answer is %v", id, o.response, o.err, first)
				}
			default:
				if first != nil || s.calls[id] == nil {
					t.Fatalf("call %d waits still, and its answer is %v", id, first)
				}
			}
		}
		for _, r := range batch.GetResponses() {
			if err := errorOf("n2:7000", r); (err == nil) != (r.GetCode() == wire.Code_CODE_OK) {
				t.Fatalf("%v is %v", r, err)
			}
		}
	})
}
