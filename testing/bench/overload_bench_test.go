package bench

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// The load of BenchmarkOverload.
const (
	overloadRooms = 400
	measureFor    = 5 * time.Second
	overloadFor   = 10 * time.Second
)

// BenchmarkOverload sends a node on one processor 1.5 times as many webhooks as it can process. It reports how many are still
// answered with 200, how soon the others are refused, and how much memory that takes. One operation is an overload of 10 s.
func BenchmarkOverload(b *testing.B) {
	bin, err := nodetest.Build(context.Background(), b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	c := clusterkit.Start(b, clusterkit.Options{Binary: bin, Nodes: 1, LogLevel: "warn", Env: []string{"GOMAXPROCS=1"}})
	load := clusterkit.MakeLoad(c.LiveKit, fakelivekit.DefaultKey, fakelivekit.DefaultSecret, overloadRooms)
	load.URL, load.Transport = c.Nodes[0].URL()+"/api/livekit-webhook", &http.Transport{MaxIdleConnsPerHost: 4096}
	c.AwaitMail()
	capacity := load.Closed(b.Context(), senders, measureFor)
	b.Logf("closed: %v", capacity)
	for b.Loop() {
		r := load.Open(b.Context(), 1.5*capacity.Rate(), overloadFor)
		b.Logf("1.5 times as many: %v", r)
		b.ReportMetric(capacity.Rate(), "capacity/s")
		b.ReportMetric(r.Rate(), "answered/s")
		b.ReportMetric(float64(r.Sent)/r.Took.Seconds(), "sent/s")
		b.ReportMetric(100*float64(r.Refused)/float64(r.Sent), "refused-%")
		b.ReportMetric(float64(r.RefusedP99.Milliseconds()), "refused-p99-ms")
		b.ReportMetric(float64(r.OKP99.Milliseconds()), "answered-p99-ms")
	}
	peak, err := clusterkit.PeakMemory(c.Nodes[0].Pid())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(peak>>20), "peak-MB")
	if err := load.Finish(b.Context(), senders); err != nil {
		b.Fatal(err)
	}
}
