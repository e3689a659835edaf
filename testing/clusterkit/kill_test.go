package clusterkit_test

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// under is how long the traffic goes on before and after what a test does.
const under = time.Second

// TestKill: kill -9 of a node under load. Every webhook gets its 200 in the end, and what got one is in Redis; the killed node
// comes back into the view by itself.
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
