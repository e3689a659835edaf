package clusterkit_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestAnyNodeIsAsGood checks that the leader carries out a request to any node, and that all nodes see the result: a sync, the
// switch of the schedule, the members of the cluster, and refusals.
func TestAnyNodeIsAsGood(t *testing.T) {
	c := start(t, clusterkit.Options{})
	leader := c.Leader()
	for i, node := range c.Nodes {
		room := clusterkit.RoomName(i)
		unseen(c, room, "alice")
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
	for i, node := range c.Nodes {
		syncsOne(t, c, node, clusterkit.RoomName(i), clusterkit.RoomName((i+1)%len(c.Nodes)))
	}
	if now := c.Leader(); now != leader {
		t.Errorf("%s leads now, and %s did", now.ID, leader.ID)
	}
}

// syncsOne syncs one room through one node. The other room, which has changed too, stays as Redis has it, and the last report stays that of a
// sync of all rooms.
func syncsOne(t *testing.T, c *clusterkit.Cluster, node *nodetest.Node, room, other string) {
	t.Helper()
	asks, who := c.Client(node), "unseen-by-"+node.ID
	before, err := asks.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unseen(c, room, who)
	unseen(c, other, who)
	answer, err := asks.SyncRoom(t.Context(), room, client.ActionOptions{})
	if err != nil || answer.Room != room || answer.Result != (client.Result{Synced: 1}) {
		t.Errorf("a sync of %s by way of %s: %+v: %v", room, node.ID, answer, err)
	}
	for name, want := range map[string]bool{room: true, other: false} {
		state, err := asks.Room(t.Context(), name)
		if has := slices.ContainsFunc(state.Participants, func(p client.Participant) bool { return p.Identity == who }); err != nil || has != want {
			t.Errorf("after a sync of %s, %s has %s: %v, want %v: %+v: %v", room, name, who, has, want, state, err)
		}
	}
	if after, err := asks.Status(t.Context()); err != nil || !after.LastSync.StartedAt.Equal(before.LastSync.StartedAt) {
		t.Errorf("the last report is %+v, was %+v: %v", after.LastSync, before.LastSync, err)
	}
}

// unseen has someone join a room, which begins if there is none. The webhooks are dropped.
func unseen(c *clusterkit.Cluster, room, identity string) {
	c.LiveKit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	defer c.LiveKit.SetFate(nil)
	c.LiveKit.Join(room, fakelivekit.Who{Identity: identity})
}

// switches turns the schedule off and on through one node. Every node must report the change, and the sync with which the schedule begins again.
func switches(t *testing.T, c *clusterkit.Cluster, by int) {
	t.Helper()
	asks := c.Client(c.Nodes[by])
	for _, to := range []bool{false, true} {
		mark := time.Now().Truncate(time.Millisecond) // as reports have their times
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
				switch {
				case err != nil:
					return err
				case s.SyncServiceRunning != to:
					return errors.New("it does not")
				case to && (s.LastSync == nil || s.LastSync.StartedAt.Before(mark)):
					return errors.New("the schedule has not begun")
				}
				return nil
			})
		}
	}
}

// refuses checks that an impossible removal is refused with the leader's own message.
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
