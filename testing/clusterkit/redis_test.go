package clusterkit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestRedisCutOff checks that a node that reaches the others but not Redis gives its rooms, and leadership, to nodes that reach
// both. Webhooks still succeed, also those sent to that node. It returns by itself.
func TestRedisCutOff(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*clusterkit.Cluster) *nodetest.Node{
		"owner":  func(c *clusterkit.Cluster) *nodetest.Node { return c.Follower() },
		"leader": func(c *clusterkit.Cluster) *nodetest.Node { return c.Leader() },
	} {
		t.Run(name, func(t *testing.T) {
			valves := map[string]*clusterkit.Valve{}
			o := clusterkit.Options{FlagsOf: func(id string) []string {
				valves[id] = clusterkit.NewValve(t)
				return []string{"--redis-url=redis://" + valves[id].Addr()}
			}}
			c := prepare(t, o)
			redis := strings.TrimPrefix(c.Redis.URL(), "redis://")
			for _, v := range valves {
				v.Turn(false, redis)
			}
			c.Found()
			traffic := c.StartTraffic(rooms, rate)
			c.Pass(under)
			node := of(c)
			before, begun := c.Testimony(), time.Now()
			mine := owned(c, node.ID)
			valves[node.ID].Turn(true, redis)
			c.AwaitView(c.Others(node.ID)...)
			t.Logf("the others own its rooms after %v", time.Since(begun).Round(10*time.Millisecond))
			c.Leader(node.ID)
			c.Pass(under)
			if took := c.Testimony().Claims - before.Claims; took < mine {
				t.Errorf("%s owned %d rooms, and only %d were claimed by others", node.ID, mine, took)
			}
			valves[node.ID].Turn(false, redis)
			c.AwaitView("n1", "n2", "n3")
			c.Pass(under)
			traffic.Stop()
			c.Verify()
		})
	}
}
