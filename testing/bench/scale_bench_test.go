package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// fill makes rooms of that many participants each.
func fill(fake *fakelivekit.Fake, rooms, people int) {
	for i := range rooms {
		for j := range people {
			fake.Join(clusterkit.RoomName(i), fakelivekit.Who{Identity: fmt.Sprintf("user-%d", j)})
		}
	}
}

// BenchmarkGrowth reports what one node needs for that many rooms of four: the first sync, which writes them; a sync in which all are right; and
// its memory after that. LiveKit is in the benchmark's own process, on the same processors.
func BenchmarkGrowth(b *testing.B) {
	for _, rooms := range []int{1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(rooms), func(b *testing.B) {
			fake, store := fakelivekit.New(fakelivekit.Options{Seed: 1}), redistest.Start(b)
			b.Cleanup(fake.Close)
			fill(fake, rooms, 4)
			livekit := httptest.NewServer(fake)
			b.Cleanup(livekit.Close)
			n := nodetest.New(b, nodetest.Options{Binary: built(b), ID: "n1", Env: append(fakelivekit.Env(livekit.URL), "REDIS_URL="+store.URL()),
				Flags: []string{"--log-level=warn", "--sync-interval=1h", "--cleanup-interval=1h", "--livekit-concurrency=64"}})
			for b.Loop() {
				begun := time.Now()
				n.Start()
				n.AwaitReady()
				sync := func() (seconds, cpu float64) {
					begun, before := time.Now(), cpuSeconds(b, n.Pid())
					if a := act(b.Context(), b, n.URL(), "sync"); a.Result.Synced != rooms || a.Result.Errors != 0 {
						b.Fatalf("the sync: %+v", a)
					}
					return time.Since(begun).Seconds(), (cpuSeconds(b, n.Pid()) - before) * 1e6 / float64(rooms)
				}
				sync()
				b.ReportMetric(time.Since(begun).Seconds(), "first-sync-s")
				seconds, cpu := sync()
				b.ReportMetric(seconds, "right-sync-s")
				b.ReportMetric(cpu, "right-sync-CPU-µs/room")
				heap, resident := memory(b, n)
				b.ReportMetric(heap/(1<<20), "heap-MiB")
				b.ReportMetric(resident/(1<<20), "resident-MiB")
			}
		})
	}
}

// built builds rollcall for a benchmark.
func built(b *testing.B) string {
	b.Helper()
	bin, err := nodetest.Build(b.Context(), b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	return bin
}

// memory returns what a node's heap holds at least, of several looks, since garbage is in it too; and its resident memory. In bytes.
func memory(b *testing.B, n *nodetest.Node) (heap, resident float64) {
	b.Helper()
	for range 20 {
		resp, err := http.Get(n.URL() + "/metrics")
		if err != nil {
			b.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		_ = resp.Body.Close()
		if err != nil || families["go_memstats_heap_alloc_bytes"] == nil {
			b.Fatalf("/metrics: %v", err)
		}
		now := families["go_memstats_heap_alloc_bytes"].GetMetric()[0].GetGauge().GetValue()
		if heap == 0 || now < heap {
			heap = now
		}
		resident = families["process_resident_memory_bytes"].GetMetric()[0].GetGauge().GetValue()
		time.Sleep(100 * time.Millisecond)
	}
	return heap, resident
}

// BenchmarkAtRest reports how much of one processor each node of three needs while 1,000 rooms are live and nothing happens between two syncs.
func BenchmarkAtRest(b *testing.B) {
	c := clusterkit.Start(b, clusterkit.Options{Binary: built(b), LogLevel: "warn", Flags: []string{"--sync-interval=1h", "--cleanup-interval=1h"}})
	c.StartTraffic(1000, 500).Stop()
	c.Settle()
	const looks = 20 * time.Second
	for b.Loop() {
		before := map[string]float64{}
		for _, n := range c.Nodes {
			before[n.ID] = cpuSeconds(b, n.Pid())
		}
		time.Sleep(looks)
		leader := c.Leader().ID
		for _, n := range c.Nodes {
			what := n.ID
			if n.ID == leader {
				what = "leader"
			}
			b.ReportMetric(100*(cpuSeconds(b, n.Pid())-before[n.ID])/looks.Seconds(), what+"-CPU-%")
		}
	}
}

// BenchmarkTakeover kills a follower of three nodes with 10,000 rooms, and reports the time until the other two own and have read all of its rooms.
func BenchmarkTakeover(b *testing.B) {
	const rooms = 10_000
	c := clusterkit.Start(b, clusterkit.Options{Binary: built(b), LogLevel: "warn"})
	c.StartTraffic(rooms, 1).Stop()
	owned := func() (n int) {
		seen, err := c.Seen(c.Leader())
		if err != nil {
			return 0
		}
		for _, m := range seen.Members {
			if m.Occupancy != nil {
				n += m.Occupancy.Rooms
			}
		}
		return n
	}
	eventually.True(b, "all rooms have an owner", func() bool { return owned() == rooms })
	var took []time.Duration
	for b.Loop() {
		victim := c.Follower()
		begun := time.Now()
		victim.Kill()
		c.AwaitView(c.Others(victim.ID)...)
		eventually.True(b, "the others own all rooms", func() bool { return owned() == rooms })
		took = append(took, time.Since(begun))
		victim.Up()
		c.AwaitView("n1", "n2", "n3")
		eventually.True(b, "all rooms have an owner", func() bool { return owned() == rooms })
	}
	percentiles(b, "take-over", took)
}
