package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

// FuzzBatches reads batches of requests. It checks that the values that they carry survive being written and read again, that an unreadable
// event does not spoil other requests, and that no value is much larger than the batch.
func FuzzBatches(f *testing.F) {
	token := reconcile.Token{Generation: 1, Index: 2}
	batch := actors.Batch{Leader: token, Cycle: 3, Cause: reconcile.BySync, Rooms: []string{"a", "\xff"}, Permit: &reconcile.Permit{Leader: token, Streak: 2}}
	event := wire.AppendEvent(nil, &reconcile.Event{ID: "EV", Kind: 1, Room: reconcile.RoomInfo{Name: "r"}})
	seed, err := proto.Marshal(&wire.Requests{Cancelled: []uint64{9}, Ping: 7, Requests: []*wire.Request{
		{Call: 1, Epoch: 2, DeadlineMs: 3, Kind: &wire.Request_Deliver{Deliver: event}},
		{Call: 2, Kind: &wire.Request_Deliver{Deliver: []byte{0x0a, 0xff}}},
		{Call: 3, Kind: &wire.Request_Survey{Survey: &wire.Survey{Batch: wire.NewBatch(batch)}}},
		{Call: 4, Kind: &wire.Request_Cleanup{Cleanup: &wire.Cleanup{Request: wire.NewCleanupRequest(actors.CleanupRequest{Leader: token, Stale: 8, Rooms: []string{"a"}})}}},
		{Call: 5, Relay: true, Kind: &wire.Request_Names{Names: &wire.Names{}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("\x0a\x02\x5a\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var all wire.Requests
		if proto.Unmarshal(raw, &all) != nil {
			return
		}
		for _, r := range all.GetRequests() {
			same(t, raw, r.GetSurvey().GetBatch().Value(), wire.NewBatch, (*wire.Batch).Value)
			same(t, raw, r.GetCleanup().GetRequest().Value(), wire.NewCleanupRequest, (*wire.CleanupRequest).Value)
			if e, err := wire.ParseEvent(r.GetDeliver()); err == nil {
				again, err := wire.ParseEvent(wire.AppendEvent(nil, &e))
				if d := cmp.Diff(e, again, cmpopts.EquateEmpty()); err != nil || d != "" {
					t.Fatalf("%v\n%s", err, d)
				}
			}
		}
	})
}

// FuzzAnswers does the same with batches of answers.
func FuzzAnswers(f *testing.F) {
	found := actors.Findings{Examined: 1, Missing: []string{"a"}, Tally: reconcile.Tally{Rooms: 1, Drift: map[reconcile.Reason]int{reconcile.Ghost: 2}},
		Differences: map[string][]reconcile.Difference{"a": {{Room: "a", Identity: "\xff"}}, "b": {}}}
	seed, err := proto.Marshal(&wire.Responses{Pong: 3, Working: []uint64{1}, Responses: []*wire.Response{
		{Call: 1, Code: wire.Code_CODE_OK, Result: &wire.Response_Findings{Findings: wire.NewFindings(found)}},
		{Call: 2, Code: 99, Result: &wire.Response_CleanupResult{CleanupResult: wire.NewCleanupResult(actors.CleanupResult{Orphans: []string{"a"}, Err: "x"})}},
		{Call: 3, Text: []byte("why"), Result: &wire.Response_Names{Names: wire.NewNameList([]string{"a", ""})}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var all wire.Responses
		if proto.Unmarshal(raw, &all) != nil {
			return
		}
		for _, r := range all.GetResponses() {
			same(t, raw, r.GetFindings().Value(), wire.NewFindings, (*wire.Findings).Value)
			same(t, raw, r.GetCleanupResult().Value(), wire.NewCleanupResult, (*wire.CleanupResult).Value)
			same(t, raw, r.GetNames().Value(), wire.NewNameList, (*wire.NameList).Value)
		}
	})
}

// same writes and reads a value that was read from raw. The value is written again with at most about twice raw's bytes, because a token or
// a permit that was left out is written as an empty one.
func same[V any, M proto.Message](t *testing.T, raw []byte, v V, there func(V) M, back func(M) V) {
	t.Helper()
	written, err := proto.Marshal(there(v))
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	if len(written) > 2*len(raw)+64 {
		t.Fatalf("%d bytes became %d", len(raw), len(written))
	}
	var zero M
	m := zero.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(written, m); err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	if d := cmp.Diff(v, back(m), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("not the same (-read +again):\n%s", d)
	}
}
