package clusterkit_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
)

// TestAnyNodeIsAsGood: whatever is asked of a node is done, by the leader, and known to all: a sync, the schedule's switch, who
// is in the cluster, and what refuses.
func TestAnyNodeIsAsGood(t *testing.T) {
	c := start(t, clusterkit.Options{})
	leader := c.Leader()
	for i, node := range c.Nodes {
		room := clusterkit.RoomName(i)
		unseen(c, room)
		mark := time.Now()
		if answer := c.Sync(node); answer.Result.Synced != i+1 {
			t.Errorf("a sync by way of %s: %+v, want %d rooms", node.ID, answer, i+1)
		}
		c.Converges()
		if report := c.AwaitSync(mark); report.Drift["unseen room"] != 1 || report.Scheduled {
			t.Errorf("the report of a sync by way of %s: %+v", node.ID, report)
		}
		switches(t, c, i)
		for _, other := range c.Nodes {
			if s, err := c.Seen(other); err != nil || s.Leader != leader.ID || len(s.Members) != 3 {
				t.Errorf("the cluster as %s sees it: %+v: %v", other.ID, s, err)
			}
		}
		refuses(t, c, i)
	}
	if now := c.Leader(); now != leader {
		t.Errorf("%s leads now, and %s did", now.ID, leader.ID)
	}
}

// unseen makes a room of which no webhook tells.
func unseen(c *clusterkit.Cluster, room string) {
	c.LiveKit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	defer c.LiveKit.SetFate(nil)
	c.LiveKit.Join(room, fakelivekit.Who{Identity: "alice"})
}

// switches turns the schedule off and on by one node; every node says so.
func switches(t *testing.T, c *clusterkit.Cluster, by int) {
	t.Helper()
	asks := c.Client(c.Nodes[by])
	for _, to := range []bool{false, true} {
		act := asks.StopService
		if to {
			act = asks.StartService
		}
		if answer, err := act(t.Context()); err != nil || answer.Running != to {
			t.Fatalf("switch to %v by way of %s: %+v: %v", to, c.Nodes[by].ID, answer, err)
		}
		for _, node := range c.Nodes {
			c.Await(node.ID+" knows of the switch", func() error {
				s, err := c.Client(node).Status(t.Context())
				if err == nil && s.SyncServiceRunning != to {
					err = errors.New("it does not")
				}
				return err
			})
		}
	}
}

// refuses: a removal that cannot be is refused with the leader's own words.
func refuses(t *testing.T, c *clusterkit.Cluster, by int) {
	t.Helper()
	_, err := c.Client(c.Nodes[by]).RemoveNode(t.Context(), "nobody")
	var refusal *client.Error
	if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict {
		t.Errorf("the removal of nobody by way of %s: %v", c.Nodes[by].ID, err)
	}
	if out, err := c.Command(c.Nodes[by], "cluster"); err != nil || strings.Count(out, "ready") != 3 {
		t.Errorf("rollcall cluster, asked of %s: %v:\n%s", c.Nodes[by].ID, err, out)
	}
}
