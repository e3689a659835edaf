package clusterkit_test

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// asleep is how long a node is paused: much longer than the others wait before they take over its rooms.
const asleep = 10 * time.Second

// TestPause stops a node with SIGSTOP in the middle of its commits and resumes it 10 s later, when others own its rooms and, if
// it led, another leads. Redis' own record (see clusterkit.Witness) must not contain a write of an older claim after a newer one
// on that room.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*clusterkit.Cluster) *nodetest.Node{
		"owner":  func(c *clusterkit.Cluster) *nodetest.Node { return c.Follower() },
		"leader": func(c *clusterkit.Cluster) *nodetest.Node { return c.Leader() },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, clusterkit.Options{})
			traffic := c.StartTraffic(rooms, rate)
			c.Pass(under)
			node := of(c)
			led, mine := c.Leader(), owned(c, node.ID)
			before := c.Testimony()
			begun := time.Now()
			node.Pause()
			c.AwaitView(c.Others(node.ID)...)
			if node == led {
				t.Logf("%s leads, seen after %v", c.Leader(node.ID).ID, time.Since(begun).Round(10*time.Millisecond))
			}
			c.Pass(time.Until(begun.Add(asleep)))
			during := c.Testimony()
			// A late sync of a deposed leader is expected here: it may try to begin one at once.
			node.Resume()
			c.AwaitView("n1", "n2", "n3")
			c.Pass(under)
			traffic.Stop()
			c.Verify()
			if took := during.Claims - before.Claims; took < mine {
				t.Errorf("%s owned %d rooms, and while it was paused only %d were claimed by others", node.ID, mine, took)
			}
		})
	}
}

// owned returns how many of the traffic's rooms a node owns.
func owned(c *clusterkit.Cluster, id string) (n int) {
	owner := c.Owners()
	for i := range rooms {
		if owner(clusterkit.RoomName(i)) == id {
			n++
		}
	}
	return n
}
