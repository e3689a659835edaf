package clusterkit_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestRollOutWithoutVolumes replaces each of three nodes under load by one with a new name and an empty disk. Each new node is
// ready before its old one stops; one of the old nodes is killed. In the end the three new nodes have all the votes, and no
// webhook is lost.
func TestRollOutWithoutVolumes(t *testing.T) {
	t.Parallel()
	c := start(t, clusterkit.Options{Nodes: 3})
	c.AwaitVoters(3)
	traffic := c.StartTraffic(rooms, rate)
	for i, end := range []func(string){
		func(id string) { c.Node(id).Terminate() },
		func(id string) { c.Node(id).Kill() },
		func(id string) { c.Node(id).Terminate() },
	} {
		c.Add()
		end([]string{"n1", "n2", "n3"}[i])
	}
	c.AwaitView("n4", "n5", "n6")
	c.Await("the new nodes have the votes", func() error {
		return votesOf(c, "n4", "n5", "n6")
	})
	c.Pass(under)
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}

// votesOf returns nil if exactly these nodes vote.
func votesOf(c *clusterkit.Cluster, ids ...string) error {
	s, err := c.Seen(c.Leader())
	if err != nil {
		return err
	}
	var voters []string
	for _, m := range s.Members {
		if m.Voter {
			voters = append(voters, m.ID)
		}
	}
	slices.Sort(voters)
	if !slices.Equal(voters, ids) {
		return fmt.Errorf("%v vote", voters)
	}
	return nil
}
