package clusterkit

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// Client returns a client of that node.
func (c *Cluster) Client(n *nodetest.Node) *client.Client {
	c.t.Helper()
	asks, err := client.New(n.URL(), client.WithHTTPClient(httpClient()))
	if err != nil {
		c.t.Fatal(err)
	}
	return asks
}

// Seen returns the cluster as that node sees it.
func (c *Cluster) Seen(n *nodetest.Node) (client.Cluster, error) {
	ctx, cancel := context.WithTimeout(c.ctx(), 5*time.Second)
	defer cancel()
	return c.Client(n).Cluster(ctx)
}

// Leader waits until every awake node agrees on a leader that is not one of others, and returns it.
func (c *Cluster) Leader(others ...string) *nodetest.Node {
	c.t.Helper()
	var leader string
	c.Await("one leader", func() error {
		leader = ""
		for _, n := range c.Awake() {
			s, err := c.Seen(n)
			switch {
			case err != nil:
				return err
			case s.Leader == "" || slices.Contains(others, s.Leader):
				return fmt.Errorf("%s has the leader %q", n.ID, s.Leader)
			case leader != "" && leader != s.Leader:
				return fmt.Errorf("%s has the leader %q, another %q", n.ID, s.Leader, leader)
			}
			leader = s.Leader
		}
		return nil
	})
	return c.Node(leader)
}

// Follower returns an awake node that does not lead.
func (c *Cluster) Follower() *nodetest.Node {
	c.t.Helper()
	others := c.Others(c.Leader().ID)
	if len(others) == 0 {
		c.t.Fatal("there is no follower")
	}
	return c.Node(others[0])
}

// Owners returns a function that gives the owner of a room in the leader's present view.
func (c *Cluster) Owners() func(room string) (id string) {
	c.t.Helper()
	s, err := c.Seen(c.Leader())
	if err != nil {
		c.t.Fatal(err)
	}
	view := fsm.View{HashVersion: fsm.HashVersion}
	for _, m := range s.Members { // sorted by id, as in the view
		if m.State != "away" {
			view.Members = append(view.Members, fsm.Member{ID: m.ID})
		}
	}
	return func(room string) string {
		owner, _ := fsm.Owner(view, room)
		return owner.ID
	}
}

// Others returns the ids of the awake nodes except that one.
func (c *Cluster) Others(id string) []string {
	var ids []string
	for _, n := range c.Awake() {
		if n.ID != id {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// AwaitVoters waits until every awake node sees that many voters.
func (c *Cluster) AwaitVoters(want int) {
	c.t.Helper()
	c.Await(fmt.Sprintf("%d voters", want), func() error {
		for _, n := range c.Awake() {
			s, err := c.Seen(n)
			if err != nil {
				return err
			}
			votes := 0
			for _, m := range s.Members {
				if m.Voter {
					votes++
				}
			}
			if votes != want || len(s.Members) != want {
				return fmt.Errorf("%s sees %d voters of %d nodes", n.ID, votes, len(s.Members))
			}
		}
		return nil
	})
}

// AwaitView waits until every awake node sees exactly these nodes in the view, all of them ready.
func (c *Cluster) AwaitView(ids ...string) {
	c.t.Helper()
	slices.Sort(ids)
	c.Await(fmt.Sprintf("the view %q everywhere", ids), func() error {
		for _, n := range c.Awake() {
			s, err := c.Seen(n)
			if err != nil {
				return err
			}
			var got []string
			for _, m := range s.Members {
				switch m.State {
				case "away":
				case "ready":
					got = append(got, m.ID)
				default:
					return fmt.Errorf("%s sees %s as %s", n.ID, m.ID, m.State)
				}
			}
			if !slices.Equal(got, ids) {
				return fmt.Errorf("%s sees %q", n.ID, got)
			}
		}
		return nil
	})
}

// Command runs the binary against a node, and returns its output and error.
func (c *Cluster) Command(n *nodetest.Node, args ...string) (string, error) {
	cmd := exec.CommandContext(c.ctx(), c.opts.Binary, args...)
	cmd.Env = []string{"HOME=/nonexistent", "GORACE=atexit_sleep_ms=0", "ROLLCALL_ADDR=" + n.URL()}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Remove removes a node permanently with `rollcall cluster remove` on another node, and waits until the removed node's process
// has ended. While the cluster has no leader, it tries again, as the command says.
func (c *Cluster) Remove(id string) {
	c.t.Helper()
	n := c.Node(id)
	c.Await("the removal of "+id, func() error {
		out, err := c.Command(c.Node(c.Others(id)[0]), "cluster", "remove", id)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("rollcall cluster remove %s: %w: %s", id, err, out)
		if !strings.Contains(out, "The cluster has no leader now") {
			c.t.Fatal(err)
		}
		return err
	})
	if n.Runs() {
		n.AwaitExit()
		n.CheckLog()
	}
	c.Balancer.Remove(n.URL())
}

// Await retries until try succeeds, and fails the test with the last error when patience runs out.
func (c *Cluster) Await(what string, try func() error) {
	c.t.Helper()
	eventually.Nil(c.t, patience, what, try)
}
