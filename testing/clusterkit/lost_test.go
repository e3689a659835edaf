package clusterkit_test

import (
	"os"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestRaftDataLost kills all nodes and deletes raft's data while people come and go. The cluster that they bootstrap next
// outranks the old one on every room, and everything is correct after its first sync.
func TestRaftDataLost(t *testing.T) {
	c := start(t, clusterkit.Options{})
	traffic := c.StartTraffic(rooms, rate)
	c.Pass(under)
	before := c.Generation()
	for _, n := range c.Nodes {
		n.Kill()
		if err := os.RemoveAll(n.Dir); err != nil {
			t.Fatal(err)
		}
	}
	c.Pass(under)
	begun := time.Now()
	c.Found()
	t.Logf("all were ready and synced %v after their start", time.Since(begun).Round(10*time.Millisecond))
	c.Pass(under)
	traffic.Stop()
	c.Verify()
	if now := c.Generation(); now <= before {
		t.Errorf("the generation is %d and was %d", now, before)
	}
}

// TestOneLosesItsData checks that a voter that restarts without its data is readmitted and never votes on the basis of what it
// forgot.
func TestOneLosesItsData(t *testing.T) {
	c := start(t, clusterkit.Options{})
	traffic := c.StartTraffic(rooms, rate)
	node := c.Follower()
	node.Kill()
	if err := os.RemoveAll(node.Dir); err != nil {
		t.Fatal(err)
	}
	c.AwaitView(c.Others(node.ID)...)
	node.Up()
	c.AwaitView("n1", "n2", "n3")
	c.AwaitVoters(3)
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}
