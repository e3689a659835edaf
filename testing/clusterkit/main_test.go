package clusterkit_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// The load of every test: enough that something is always under way, and not so much that a busy machine falls behind.
const (
	rooms = 200
	rate  = 120 // webhooks a second
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rollcall-cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, "clusterkit:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	bin, err := nodetest.Build(ctx, dir, true)
	if err == nil {
		err = os.Setenv(nodetest.BinEnv, bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clusterkit:", err)
		return 1
	}
	return m.Run()
}

// start starts a cluster.
func start(t *testing.T, o clusterkit.Options) *clusterkit.Cluster {
	t.Helper()
	c := prepare(t, o)
	c.Found()
	return c
}

// prepare makes a cluster without starting its nodes.
func prepare(t *testing.T, o clusterkit.Options) *clusterkit.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	o.Binary = os.Getenv(nodetest.BinEnv)
	return clusterkit.New(t, o)
}
