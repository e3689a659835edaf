package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

const (
	// completionTimeout is short, because somebody has just pressed Tab.
	completionTimeout = 2 * time.Second
	// maxCompletions limits how many names a shell is given.
	maxCompletions = 200
)

// lister returns names that a node knows: those that begin with prefix, or all, of which the shell takes these.
type lister func(ctx context.Context, c *client.Client, prefix string) ([]string, error)

// complete makes a client command complete what its usage line and its flags call a room or a node.
func (a *app) complete(cmd *cobra.Command, f *clientFlags) {
	if cmd.Flags().Lookup("room") != nil {
		_ = cmd.RegisterFlagCompletionFunc("room", a.completion(f, roomNames)) // it fails only for a flag that is not there
	}
	argument := strings.Trim(cmd.Use[strings.LastIndex(cmd.Use, " ")+1:], "[]")
	if list := map[string]lister{"NAME": roomNames, "ROOM": roomNames, "NODE": nodeNames}[argument]; list != nil {
		cmd.ValidArgsFunction = a.completion(f, list)
	}
}

// completion asks the node that the command line names. A node that does not answer completes nothing: a shell has no place for
// an error.
func (a *app) completion(f *clientFlags, list lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
		c, err := a.dial(cmd, f)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		names, _ := list(ctx, c, prefix)
		for _, name := range names {
			if safe(name) == name { // a shell could not show the others
				all = append(all, name)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

func roomNames(ctx context.Context, c *client.Client, prefix string) (names []string, err error) {
	list, err := listRooms(ctx, c, roomsOptions{prefix: prefix, limit: maxCompletions})
	for _, room := range list.Rooms {
		names = append(names, room.RoomName)
	}
	return names, err
}

func nodeNames(ctx context.Context, c *client.Client, _ string) (names []string, err error) {
	s, err := c.Cluster(ctx)
	for _, m := range s.Members {
		names = append(names, m.ID)
	}
	return names, err
}
