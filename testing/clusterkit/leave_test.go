package clusterkit_test

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestLeave: a node that is told to end, and then the leader, and both again when they are back. Behind a balancer that honours
// /readyz not one attempt of a webhook fails, and the leader's successor does its first sync.
func TestLeave(t *testing.T) {
	c := start(t, clusterkit.Options{})
	traffic := c.StartTraffic(rooms, rate)
	mark := time.Now()
	c.Pass(under)
	for _, node := range []string{c.Follower().ID, c.Leader().ID} {
		begun, led := time.Now(), c.Leader().ID
		c.Node(node).Terminate()
		c.AwaitView(c.Others(node)...)
		if node == led {
			t.Logf("%s leads in the place of %s", c.Leader(led).ID, led)
			t.Logf("the next sync began %v after SIGTERM", c.AwaitSyncStart(begun).Sub(begun).Round(time.Millisecond))
		}
		c.Pass(under)
		c.Node(node).Up()
		c.AwaitView("n1", "n2", "n3")
	}
	c.Pass(under)
	traffic.Stop()
	c.Verify()
	noneFailed(t, c, mark)
}

// TestRollingRestart: each of the three in its turn, the next as soon as the one before is ready again. No attempt fails.
func TestRollingRestart(t *testing.T) {
	c := start(t, clusterkit.Options{})
	traffic := c.StartTraffic(rooms, rate)
	mark := time.Now()
	for _, node := range c.Nodes {
		node.Terminate()
		node.Up()
	}
	c.AwaitView("n1", "n2", "n3")
	c.Pass(under)
	traffic.Stop()
	c.Verify()
	noneFailed(t, c, mark)
}

// noneFailed: from mark on each webhook had its 200 at the first attempt.
func noneFailed(t *testing.T, c *clusterkit.Cluster, mark time.Time) {
	t.Helper()
	s := c.Ledger.Since(mark)
	if s.Webhooks == 0 || s.Retried > 0 {
		t.Errorf("of %d webhooks %d had an attempt that failed: %v", s.Webhooks, s.Retried, s.Statuses)
	}
	for _, w := range c.Ledger.All() {
		if len(w.Failed) > 0 {
			t.Logf("failed at %s: %v", w.First.Format("15:04:05.000"), w.Failed)
		}
	}
}
