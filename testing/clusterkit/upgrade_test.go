package clusterkit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// useLater is the file in a data directory that lets the later build use its log format.
const useLater = "use-later"

// TestTwoBuilds replaces the nodes of a cluster under load, one by one, by a later build, and then by this one again. The later build has a
// log format, an ownership hash, and fields of messages, records and feed entries that this one does not know. No webhook is lost. Then
// the later build wants to use its format. It must not while a node of this build is in the cluster. Once it has, a node of this build says so
// and ends, or is not let in, and the cluster goes on.
func TestTwoBuilds(t *testing.T) {
	c := prepare(t, clusterkit.Options{})
	now := os.Getenv(nodetest.BinEnv)
	later, err := nodetest.BuildNext(context.Background(), t.TempDir(), nodetest.Race())
	if err != nil {
		t.Fatal(err)
	}
	c.Found()
	traffic := c.StartTraffic(rooms, rate)
	generation := c.Generation()
	for _, build := range []string{later, now} {
		for i, node := range c.Nodes {
			replace(c, node, build)
			t.Logf("%d nodes run %s", i+1, filepath.Base(build))
		}
		c.Pass(under)
	}
	if got := c.Generation(); got != generation {
		t.Errorf("the generation was %d and is %d: the cluster was founded again", generation, got)
	}
	if got, err := c.Redis.Client().HGet(context.Background(), "rooms:fence:"+clusterkit.RoomName(0), "later").Result(); got != "1" {
		t.Errorf("this build has removed the field of the later one: %q, error %v", got, err)
	}

	old := c.Nodes[2]
	for _, node := range c.Nodes[:2] {
		if err := os.WriteFile(filepath.Join(node.Dir, useLater), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		replace(c, node, later)
	}
	c.Await("the later build leads", func() error { return leads(c, nodetest.NextVersion) })
	c.Await("it does not use its format", func() error {
		return c.Leader().Says("the later format is not used yet", `n3`, "upgrade it first")
	})
	replace(c, old, later)
	c.Await("it uses its format", func() error { return saysOneOf(c.Awake(), "the later format is in use") })

	old.Terminate()
	old.Use(now)
	old.Start()
	if err := old.AwaitExit(); err == nil {
		t.Error("a build that cannot read the log ends without an error")
	}
	if err := old.Says("written by a newer version of rollcall: start that version or a later one"); err != nil {
		t.Error(err)
	}
	stranger := c.Make()
	stranger.Start()
	c.Await("a new node of this build is not let in", func() error {
		return stranger.Says("too old", "start the version that the other nodes run")
	})
	if err := stranger.Probe("/readyz", 503); err != nil {
		t.Error(err)
	}
	stranger.Terminate()
	old.Use(later)
	old.Up()
	c.AwaitView("n1", "n2", "n3")
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}

// replace stops a node and starts it with another build.
func replace(c *clusterkit.Cluster, node *nodetest.Node, binary string) {
	node.Terminate()
	node.Use(binary)
	node.Up()
	c.AwaitBalancer()
}

// leads returns nil if the leader is of that version. Otherwise it asks the leader to restart.
func leads(c *clusterkit.Cluster, version string) error {
	leader := c.Leader()
	s, err := c.Seen(leader)
	if err != nil {
		return err
	}
	for _, m := range s.Members {
		if m.ID != leader.ID {
			continue
		}
		if m.Version == version {
			return nil
		}
		leader.Terminate()
		leader.Up()
		return fmt.Errorf("%s leads and is of %s", m.ID, m.Version)
	}
	return fmt.Errorf("%s is not in the view", leader.ID)
}

// saysOneOf returns nil if one of the nodes has logged a line with the text.
func saysOneOf(nodes []*nodetest.Node, text string) (err error) {
	for _, n := range nodes {
		if err = n.Says(text); err == nil {
			return nil
		}
	}
	return err
}
