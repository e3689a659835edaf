package clusterkit_test

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// under is how long the traffic runs before and after a test's fault.
const under = time.Second

// TestKill kills a node with kill -9 under load. Every webhook eventually gets its 200, and those that got one are in Redis. The
// killed node returns to the view by itself.
func TestKill(t *testing.T) {
	for name, victim := range map[string]func(*clusterkit.Cluster) *nodetest.Node{
		"follower": func(c *clusterkit.Cluster) *nodetest.Node { return c.Follower() },
		"leader":   func(c *clusterkit.Cluster) *nodetest.Node { return c.Leader() },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, clusterkit.Options{})
			traffic := c.StartTraffic(rooms, rate)
			c.Pass(under)
			node, led := victim(c), c.Leader()
			begun := time.Now()
			node.Kill()
			if next := c.Leader(); node == led {
				next = c.Leader(node.ID)
				t.Logf("%s leads after %v", next.ID, time.Since(begun).Round(10*time.Millisecond))
				t.Logf("the next sync began after %v", c.AwaitSyncStart(begun).Sub(begun).Round(time.Millisecond))
				c.AwaitSync(begun)
			} else if next != led {
				t.Errorf("%s was killed, and the leader changed from %s to %s", node.ID, led.ID, next.ID)
			}
			c.AwaitView(c.Others(node.ID)...)
			c.Pass(under)
			node.Up()
			c.AwaitView("n1", "n2", "n3")
			c.Pass(under)
			traffic.Stop()
			if s := c.Verify(); s.Lost > 0 {
				t.Errorf("%d webhooks were lost", s.Lost)
			}
		})
	}
}
