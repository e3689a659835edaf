package prometheus

import (
	"os"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/patch"
)

// TestRealBug checks that an alert fires when a real node has a bug. No request or fault is known that makes rollcall panic, so the node is built
// with one line more, which panics whenever a sync compares one certain room.
func TestRealBug(t *testing.T) {
	if os.Getenv("DEPLOY") == "" {
		t.Skip("it builds another rollcall: set DEPLOY=1")
	}
	t.Parallel()
	const compare = "func (v *survey) contain(room string, work func() error) error {\n"
	bin, err := nodetest.BuildPatched(t.Context(), t.TempDir(), "../../..", patch.Edit{File: "actors/survey.go", Old: compare,
		New: compare + "\tif room == \"bug\" {\n\t\twork = func() error { panic(\"a bug of the test\") }\n\t}\n"})
	if err != nil {
		t.Fatal(err)
	}
	w := newAlone(t, func(o *nodetest.Options) { o.Binary = bin })
	w.suffer(t, bugOutages())
}

func bugOutages() []outage {
	return []outage{{name: "a panic", alerts: []string{"RollcallBugs"}, run: aPanic}}
}

// aPanic lets each sync panic at one room, and looks whether the others go on.
func aPanic(t *testing.T, w *world, o outage) {
	const metric = "rollcall_contained_crashes_total"
	w.livekit.CreateRoom(&livekit.CreateRoomRequest{Name: "bug"})
	before := w.total(metric, nil, w.nodes...)
	w.await("the panic is counted", metric, nil, func(total float64) bool { return total > before }, w.nodes...)
	committed := []string{`outcome="committed"`}
	webhooks := w.total("rollcall_webhooks_total", committed, w.nodes...)
	o.fires(t, w, 15*time.Minute, nil)
	if now := w.total("rollcall_webhooks_total", committed, w.nodes...); now <= webhooks {
		t.Errorf("%v webhooks were committed before and %v after the panics", webhooks, now)
	}
}
