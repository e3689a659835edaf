package clusterkit_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// The load of every test: enough that something is always in progress, and little enough that a busy machine keeps up.
const (
	rooms = 200
	rate  = 80 // webhooks per second
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	return nodetest.Main(m, nodetest.Race())
}

// start starts a cluster.
func start(t *testing.T, o clusterkit.Options) *clusterkit.Cluster {
	t.Helper()
	c := prepare(t, o)
	c.Found()
	return c
}

// prepare returns a cluster without starting its nodes.
func prepare(t *testing.T, o clusterkit.Options) *clusterkit.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	o.Binary = os.Getenv(nodetest.BinEnv)
	return clusterkit.New(t, o)
}
