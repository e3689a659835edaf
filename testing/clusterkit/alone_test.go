package clusterkit_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestOneNodeFirst checks that a node that is alone opens no node port. After a restart with a node address, under load, it
// accepts others. After that it does not start without its node address.
func TestOneNodeFirst(t *testing.T) {
	c := prepare(t, clusterkit.Options{Nodes: 1})
	first := c.Nodes[0]
	withAddr := first.Env
	i := slices.IndexFunc(withAddr, func(v string) bool { return strings.HasPrefix(v, clusterkit.NodeAddrEnv) })
	alone := slices.Delete(slices.Clone(withAddr), i, i+1)
	addr := strings.TrimPrefix(withAddr[i], clusterkit.NodeAddrEnv+"=")

	first.Env = alone
	c.Found()
	if s, err := c.Seen(first); err != nil || len(s.Members) != 1 || s.Members[0].NodeAddr != "" {
		t.Errorf("it says %+v (%v), want no node address", s, err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		t.Errorf("something listens at %s", conn.RemoteAddr())
		_ = conn.Close()
	}
	traffic := c.StartTraffic(rooms, rate)
	c.Pass(under)

	first.Terminate()
	first.Env = withAddr
	first.Up()
	c.Add()
	c.Add()
	c.AwaitView("n1", "n2", "n3")
	c.AwaitVoters(3)
	if s, err := c.Seen(first); err != nil || s.Members[0].NodeAddr != addr {
		t.Errorf("it says %+v (%v), want the node address %s", s, err, addr)
	}
	c.Pass(under)

	first.Terminate()
	first.Env = alone
	first.Start()
	if err := first.AwaitExit(); err == nil {
		t.Error("it runs without the nodes of its cluster")
	}
	if err := first.Says("--node-addr is missing", "n2", "n3"); err != nil {
		t.Error(err)
	}
	first.Env = withAddr
	first.Up()
	c.AwaitView("n1", "n2", "n3")
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}
