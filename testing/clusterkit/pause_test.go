package clusterkit_test

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// asleep is how long a node is paused: much longer than the others wait before they take its rooms.
const asleep = 10 * time.Second

// TestPause: a node is stopped by SIGSTOP, in the midst of its commits, and goes on 10 s later, when others own its rooms and,
// if it led, another leads. Redis' own record (see clusterkit.Witness) has not one write of an older claim after a newer one
// on that room.
func TestPause(t *testing.T) {
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
			// A deposed leader's sync that comes late is part of the game: it may want one at once.
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

// owned is how many of the traffic's rooms a node owns.
func owned(c *clusterkit.Cluster, id string) (n int) {
	owner := c.Owners()
	for i := range rooms {
		if owner(clusterkit.RoomName(i)) == id {
			n++
		}
	}
	return n
}
