package rpc

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestNoTraceCostsNothing checks that requests without a trace are as small as before there were traces, and that nothing is allocated for
// one that there is not.
func TestNoTraceCostsNothing(t *testing.T) {
	req := eventRequest(7, reconcile.Event{ID: "EV_1"})
	before, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	off := &Peers{}
	if n := testing.AllocsPerRun(100, func() { off.traced(t.Context(), req) }); n != 0 {
		t.Errorf("a request without a trace allocates %v times for it", n)
	}
	if after, err := proto.Marshal(off.traced(t.Context(), req)); err != nil || string(after) != string(before) {
		t.Errorf("without a trace a request is %x, want %x: %v", after, before, err)
	}
	on := &Peers{cfg: Config{Inject: func(context.Context) []byte { return []byte("T") }}}
	if got := resend(on.traced(t.Context(), req)); string(got.GetTrace()) != "T" {
		t.Errorf("a request that is sent again has the trace %q", got.GetTrace())
	}
}
