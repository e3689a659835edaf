package bench

import (
	"context"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// The load of BenchmarkFailover.
const (
	failoverRooms = 1000
	failoverRate  = 500 // webhooks per second
)

// BenchmarkFailover kills one node of three under load and restarts it. It reports the longest time that a webhook then went
// without its 200, over all of LiveKit's attempts, and where the leader was killed, the time until its successor's first sync
// started.
func BenchmarkFailover(b *testing.B) {
	bin, err := nodetest.Build(context.Background(), b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	for name, victim := range map[string]func(*clusterkit.Cluster) *nodetest.Node{
		"leader": func(c *clusterkit.Cluster) *nodetest.Node { return c.Leader() }, "follower": (*clusterkit.Cluster).Follower,
	} {
		b.Run(name, func(b *testing.B) {
			c := clusterkit.Start(b, clusterkit.Options{Binary: bin, LogLevel: "warn", Flags: []string{"--change-feed-max=10000000"}})
			traffic := c.StartTraffic(failoverRooms, failoverRate)
			var synced []time.Duration
			var marks []time.Time
			for b.Loop() {
				c.Pass(time.Second)
				node := victim(c)
				mark := time.Now()
				marks = append(marks, mark)
				node.Kill()
				if name == "leader" {
					synced = append(synced, c.AwaitSyncStart(mark).Sub(mark))
				}
				c.AwaitView(c.Others(node.ID)...)
				node.Up()
				c.AwaitView("n1", "n2", "n3")
			}
			traffic.Stop()
			if s := c.Verify(); s.Lost > 0 {
				b.Errorf("%d webhooks were lost", s.Lost)
			}
			if name == "leader" {
				percentiles(b, "sync-start", synced)
			}
			percentiles(b, "unanswered", unanswered(c, marks))
		})
	}
}

// unanswered returns, for each kill, the longest wait of a webhook that was in flight at the kill or sent before the next one.
func unanswered(c *clusterkit.Cluster, marks []time.Time) []time.Duration {
	longest := make([]time.Duration, len(marks))
	for _, w := range c.Ledger.All() {
		for i, mark := range marks {
			last := i == len(marks)-1
			if w.Answered.After(mark) && (last || w.First.Before(marks[i+1])) {
				longest[i] = max(longest[i], w.Unanswered())
			}
		}
	}
	return longest
}
