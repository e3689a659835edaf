package rpc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := codec{}.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	return data.Materialize()
}

func unmarshal(t *testing.T, m proto.Message, v any) {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, v); err != nil {
		t.Fatal(err)
	}
}

// What the codec writes, the generated types read, as rollcall.proto has it; and the other way round.
func TestBatchesAsTheGeneratedTypes(t *testing.T) {
	t.Parallel()
	e := reconcile.Event{ID: "EV", Room: reconcile.RoomInfo{Name: "r"}}
	work, err := workBody(&wire.Request{Epoch: 4, Kind: &wire.Request_Names{Names: &wire.Names{}}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	raw := marshal(t, &requestsOut{now: now, cancelled: []uint64{5, 300}, ping: 9, calls: []*call{
		{id: 1, deadline: now.Add(100 * time.Millisecond), body: relayed(eventBody(3, &e))},
		{id: 1 << 40, deadline: now.Add(time.Hour), body: work}}})
	var requests wire.Requests
	if err := proto.Unmarshal(raw, &requests); err != nil {
		t.Fatal(err)
	}
	event := &wire.Event{Id: []byte("EV"), Room: &wire.Room{Name: []byte("r")}, Participant: &wire.Participant{}}
	want := &wire.Requests{Cancelled: []uint64{5, 300}, Ping: 9, Requests: []*wire.Request{
		{Call: 1, Epoch: 3, DeadlineMs: 100, Relay: true,
			Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: event}}},
		{Call: 1 << 40, Epoch: 4, DeadlineMs: 3_600_000, Kind: &wire.Request_Names{Names: &wire.Names{}}}}}
	if d := cmp.Diff(want, &requests, protocmp.Transform()); d != "" {
		t.Errorf("requests (-want +read):\n%s", d)
	}

	var in requestsIn
	unmarshal(t, want, &in)
	if len(in.requests) != 2 || in.ping != 9 || !cmp.Equal(in.cancelled, want.Cancelled) {
		t.Fatalf("read %+v", in)
	}
	if first := in.requests[0]; first.err != nil || first.call != 1 || first.epoch != 3 || first.left != 100*time.Millisecond ||
		!first.relay || first.event == nil || first.event.ID != "EV" || first.event.Room.Name != "r" {
		t.Errorf("an event is read as %+v", first)
	}
	if second := in.requests[1]; second.err != nil || second.event != nil || second.work.GetNames() == nil || second.left != workTimeout {
		t.Errorf("long work is read as %+v", second)
	}

	refused := &wire.Response{Code: wire.Code_CODE_NOT_OWNER, Epoch: 7, Text: []byte("no")}
	raw = marshal(t, &responsesOut{pong: 9, working: []uint64{2, 400}, answers: []answer{
		answerTo(1, &wire.Response{Code: wire.Code_CODE_OK}, 1000), answerTo(300, refused, 1000)}})
	var responses wire.Responses
	if err := proto.Unmarshal(raw, &responses); err != nil {
		t.Fatal(err)
	}
	refused = proto.Clone(refused).(*wire.Response)
	refused.Call = 300
	both := &wire.Responses{Pong: 9, Working: []uint64{2, 400}, Responses: []*wire.Response{{Call: 1, Code: wire.Code_CODE_OK}, refused}}
	if d := cmp.Diff(both, &responses, protocmp.Transform()); d != "" {
		t.Errorf("responses (-want +read):\n%s", d)
	}
	var back responsesIn
	unmarshal(t, both, &back)
	if len(back.responses) != 2 || back.responses[0].call != 1 || back.responses[0].Response != nil || back.responses[1].call != 300 ||
		!proto.Equal(back.responses[1].Response, refused) || back.pong != 9 || !cmp.Equal(back.working, both.Working) {
		t.Errorf("read %+v", back)
	}
}

// FuzzBatches holds that no bytes of a peer crash a node.
func FuzzBatches(f *testing.F) {
	for _, m := range []proto.Message{
		&wire.Requests{Ping: 1, Cancelled: []uint64{2}, Requests: []*wire.Request{{Call: 1, Relay: true}}},
		&wire.Requests{Requests: []*wire.Request{{Call: 1, Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: &wire.Event{}}}}}},
		&wire.Responses{Pong: 1, Working: []uint64{1}, Responses: []*wire.Response{{Call: 1, Code: wire.Code_CODE_BUSY}}},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{&requestsIn{}, &responsesIn{}} {
			_ = codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, v)
		}
	})
}
