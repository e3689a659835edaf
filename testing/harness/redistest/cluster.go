package redistest

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
)

const slots = 16384

// Cluster is a Redis Cluster of masters without replicas, each with its part of the slots.
type Cluster struct {
	Nodes  []*Server
	Client *redis.ClusterClient
}

// StartCluster starts a cluster of that many masters and waits until each of them knows the masters of all slots. While one of them
// hangs, the others continue to serve (cluster-require-full-coverage no).
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters {
		c.Nodes = append(c.Nodes, Start(t, "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-port", port(freeaddr.ForTest(t, 1)[0])))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for i, node := range c.Nodes {
		if err := node.client.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatalf("redistest: slots of node %d: %v", i, err)
		}
		if err := node.client.Do(ctx, c.meet(t, node)...).Err(); err != nil {
			t.Fatalf("redistest: node %d does not meet the first: %v", i, err)
		}
	}
	c.await(t, ctx)
	c.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	t.Cleanup(func() { _ = c.Client.Close() })
	return c
}

// Addrs returns the nodes' addresses.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}

// meet returns the command that introduces a node to the first one, including the port of the first one's cluster bus.
func (c *Cluster) meet(t testing.TB, node *Server) []any {
	t.Helper()
	first := c.Nodes[0]
	host, port, err := net.SplitHostPort(first.Addr)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	bus := first.args[len(first.args)-1]
	if node == first {
		return []any{"PING"}
	}
	return []any{"CLUSTER", "MEET", host, port, bus}
}

func (c *Cluster) await(t testing.TB, ctx context.Context) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, node := range c.Nodes {
		for {
			info := node.client.ClusterInfo(ctx).Val()
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:"+strconv.Itoa(slots)+"\r") &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(c.Nodes))) {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("redistest: the cluster does not come together:\n%s", info)
			}
		}
	}
}
