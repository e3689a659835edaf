package main

import (
	"context"
	"errors"
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
	}, readTimeout, func([]string) ask { return a.showCluster })
	cmd.AddCommand(a.clusterRemoveCommand())
	return cmd
}

func (a *app) showCluster(ctx context.Context, c *client.Client, asJSON bool) error {
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, s)
	}
	rows := [][]string{{"NODE", "STATE", "ROLE", "ROOMS", "HTTP", "NODE ADDR", "VERSION"}}
	for _, m := range s.Members {
		rows = append(rows, []string{safe(m.ID), stateText(m.State), roleText(m, s.Leader), strconv.Itoa(m.Rooms),
			orDash(m.HTTPAddr), orDash(m.NodeAddr), orDash(m.Version)})
	}
	if err := a.table(rows, inked{1, memberInk}); err != nil {
		return err
	}
	down := map[string]bool{} // for all who answer, not for one
	for _, m := range s.Members {
		down[m.ID] = m.State == "unreachable" && !slices.ContainsFunc(s.Members, func(o client.Member) bool {
			return o.ID != m.ID && (o.State == "ready" || o.State == "unready") && !slices.Contains(o.CannotReach, m.ID)
		})
	}
	for _, m := range s.Members {
		cut := slices.DeleteFunc(m.CannotReach, func(id string) bool { return down[id] })
		if len(cut) > 0 {
			fmt.Fprintf(a.stdout, "\n%s: %s cannot reach %s directly, and sends events through another node (%d so far): look at the network between them\n",
				a.colours.paint(bad, "CUT"), safe(m.ID), safe(strings.Join(cut, ", ")), m.Relayed)
		}
	}
	a.showShards(s.Members)
	if s.Leader == "" {
		fmt.Fprintln(a.stdout, "\n"+a.colours.paint(bad, "NO LEADER")+": no sync runs and no node can join or leave until one is elected; if that takes longer than seconds, most voters are down or out of reach")
	}
	return nil
}

// showShards names the masters of Redis that take no commits, and of whom.
func (a *app) showShards(members []client.Member) {
	from := map[string][]string{}
	answered := 0
	for _, m := range members {
		if m.State == "ready" || m.State == "unready" {
			answered++
		}
		for _, shard := range m.CannotWrite {
			from[shard] = append(from[shard], safe(m.ID))
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(from)) {
		whom, where := "any node", "look at that Redis"
		if len(from[shard]) < answered {
			whom = strings.Join(from[shard], ", ")
			where = "look at the network between them, and at the user's ACL there"
		}
		fmt.Fprintf(a.stdout, "\n%s: Redis at %s takes no commits of %s: webhooks for its rooms get 503; %s, and at the node's log for the reason\n",
			a.colours.paint(bad, "REDIS"), safe(shard), whom, where)
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

// stateText shouts what needs a look.
func stateText(state string) string {
	if state == "unreachable" || state == "unready" {
		return "! " + state
	}
	return orDash(state)
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	cmd := a.asking(&cobra.Command{
		Use:   "remove NODE",
		Short: "Take a node out of the cluster for good",
		Long: `Take a node out of the cluster for good: other nodes own its rooms, it votes no
more, and its process, if it runs, ends by itself. Started again, it joins anew.
A node that was only stopped needs no removal: it comes back by itself, and one
that stays away is removed after --dead-after.`,
		Args: oneNode,
	}, readTimeout, func(args []string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			answer, err := c.RemoveNode(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, answer)
			}
			fmt.Fprintf(a.stdout, "%s is removed\n", safe(answer.ID))
			return nil
		}
	})
	cmd.GroupID = ""
	return cmd
}

func oneNode(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("give the one node's name, as `rollcall cluster` shows it")
	}
	return nil
}
