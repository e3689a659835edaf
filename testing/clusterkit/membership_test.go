package clusterkit_test

import (
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestGrowAndShrink goes through 1, 3, 5, 3 and 1 nodes under load. Two of the removed nodes lead at the time, and the last
// remaining node is not the one that bootstrapped the cluster. No webhook is lost, and no room is wrong.
func TestGrowAndShrink(t *testing.T) {
	c := start(t, clusterkit.Options{Nodes: 1})
	traffic := c.StartTraffic(rooms, rate)
	for _, to := range []int{3, 5} {
		for len(c.Awake()) < to {
			c.Add()
		}
		c.AwaitView(c.Others("")...)
		c.AwaitVoters(to)
		c.Pass(under)
	}
	for _, to := range []int{3, 1} {
		c.Remove(c.Leader().ID)
		c.AwaitView(c.Others("")...)
		gone := c.Follower()
		if gone.ID != "n1" && c.Node("n1").Runs() && c.Leader().ID != "n1" {
			gone = c.Node("n1")
		}
		c.Remove(gone.ID)
		c.AwaitView(c.Others("")...)
		c.AwaitVoters(to)
		c.Pass(under)
	}
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}
