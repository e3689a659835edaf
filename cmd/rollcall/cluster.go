package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := a.asking(&cobra.Command{
		Use:   "cluster",
		Short: "Show the cluster's nodes and who leads",
		Args:  noArgs,
	}, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		partial := func() bool {
			status, err := c.Status(ctx)
			return err == nil && status.Redis != nil && status.Redis.State == "partial"
		}
		return show(a, asJSON, func(s client.Cluster) error { return a.printCluster(s, partial) })(c.Cluster(ctx))
	})
	cmd.AddCommand(a.clusterRemoveCommand())
	return cmd
}

// printCluster prints the members. partial reports whether some of Redis' masters accept commits and others do not.
func (a *app) printCluster(s client.Cluster, partial func() bool) error {
	rows := [][]string{{"NODE", "STATE", "ROLE", "ROOMS", "HTTP", "NODE ADDR", "VERSION"}}
	for _, m := range s.Members {
		rows = append(rows, []string{safe(m.ID), stateText(m.State), roleText(m, s.Leader), strconv.Itoa(m.LiveRooms()),
			orDash(m.HTTPAddr), orDash(m.NodeAddr), orDash(m.Version)})
	}
	if err := a.table(rows, colored{1, memberColor}); err != nil {
		return err
	}
	if s.Term > 0 {
		fmt.Fprintf(a.stdout, "\nTerm %d, epoch %d\n", s.Term, s.Epoch)
	}
	down := map[string]bool{} // unreachable for all members that answer, not just for one
	for _, m := range s.Members {
		down[m.ID] = m.State == "unreachable" && !slices.ContainsFunc(s.Members, func(o client.Member) bool {
			return o.ID != m.ID && (o.State == "ready" || o.State == "unready") && !slices.Contains(o.CannotReach, m.ID)
		})
	}
	for _, m := range s.Members {
		cut := slices.DeleteFunc(m.CannotReach, func(id string) bool { return down[id] })
		if len(cut) > 0 {
			fmt.Fprintf(a.stdout, "\n%s: %s cannot reach %s directly, and sends events through another node (%d so far): look at the network between them\n",
				a.colours.colorize(bad, "CUT"), safe(m.ID), safe(strings.Join(cut, ", ")), m.Relayed)
		}
	}
	a.showShards(s.Members, partial)
	if t := s.LeaderTrouble(); t != nil {
		fmt.Fprintln(a.stdout, "\n"+a.colours.colorize(bad, "NO LEADER")+": "+sentence(t.Todo))
	}
	return nil
}

// showShards prints the Redis masters that accept no commits, and from which nodes.
func (a *app) showShards(members []client.Member, partial func() bool) {
	from := map[string][]string{}
	answered := 0
	for _, m := range members {
		if m.Answers() {
			answered++
		}
		for _, shard := range m.CannotWrite {
			from[shard] = append(from[shard], safe(m.ID))
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(from)) {
		whom, what := "any node", "webhooks get 503, which LiveKit retries for about 15 s; look at that Redis"
		if len(from[shard]) == answered && partial() {
			what = "webhooks for the rooms on it get 503, which LiveKit retries for about 15 s; look at that master and its replicas"
		}
		if len(from[shard]) < answered {
			whom = strings.Join(from[shard], ", ")
		}
		// If Redis fails all nodes, none is ready, even if each node has an address of its own for it.
		if slices.ContainsFunc(members, func(m client.Member) bool { return m.State == "ready" && !slices.Contains(m.CannotWrite, shard) }) {
			what = "other nodes take over its work, and it comes back by itself; look at the network between them, and at the user's ACL there"
		}
		fmt.Fprintf(a.stdout, "\n%s: Redis at %s takes no commits of %s: %s, and at the node's log for the reason\n",
			a.colours.colorize(bad, "REDIS"), safe(shard), whom, what)
	}
}

func roleText(m client.Member, leader string) string {
	switch {
	case m.ID == leader:
		return "leader"
	case m.Voter:
		return "voter"
	}
	return "non-voter"
}

// stateText marks a state that needs attention.
func stateText(state string) string {
	if state == "unreachable" || state == "unready" {
		return "! " + state
	}
	return orDash(state)
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	cmd := a.asking(&cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node from the cluster permanently",
		Long: `Remove a node from the cluster permanently: other nodes own its rooms, it no longer
votes, and its process, if it runs, ends with exit code 3. Started again, it joins
again: first stop its service and disable it (systemctl disable --now rollcall).
A node that was only stopped needs no removal: it comes back by itself, and one
that stays away is removed after --dead-after.`,
		Args: oneNode,
	}, readTimeout, func(ctx context.Context, c *client.Client, args []string, asJSON bool) error {
		return show(a, asJSON, func(answer client.RemoveAnswer) error {
			_, err := fmt.Fprintf(a.stdout, "%s is removed\n", safe(answer.ID))
			return err
		})(c.RemoveNode(ctx, args[0]))
	})
	cmd.GroupID = ""
	return cmd
}

func oneNode(cmd *cobra.Command, args []string) error {
	return oneWord(cmd, args, "give the one node's name, as `rollcall cluster` shows it")
}
