package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/internal/config"
)

// roomsOptions select what `rollcall rooms` lists.
type roomsOptions struct {
	prefix, search string
	limit          int
	all            bool
}

// roomList is what `rollcall rooms --json` prints.
type roomList struct {
	Rooms []client.RoomSummary `json:"rooms"`
	// More is true if the limit cut the list off.
	More bool `json:"more"`
	// Incomplete is true if part of Redis does not answer and its rooms are missing.
	Incomplete bool `json:"incomplete,omitempty"`
}

func (a *app) roomsCommand() *cobra.Command {
	var o roomsOptions
	cmd := &cobra.Command{
		Use:   "rooms",
		Short: "List the live rooms",
		Args:  noArgs,
	}
	cmd.Flags().StringVar(&o.search, "search", "", "only rooms whose name holds this `text`")
	cmd.Flags().StringVar(&o.prefix, "prefix", "", "only rooms whose name begins with this `text`")
	cmd.Flags().IntVar(&o.limit, "limit", 100, "how many rooms to list")
	cmd.Flags().BoolVar(&o.all, "all", false, "list every room")
	cmd.MarkFlagsMutuallyExclusive("search", "prefix")
	cmd.MarkFlagsMutuallyExclusive("limit", "all")
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		if o.limit < 1 {
			return &config.UsageError{Lines: []string{"--limit: give a number above 0, or --all"}}
		}
		list, err := listRooms(ctx, c, o)
		err = show(a, asJSON, func(list roomList) error { return a.printRooms(list, o) })(list, err)
		if err == nil && list.Incomplete {
			return &explainedError{line: "part of Redis does not answer, and its rooms are missing here: `rollcall status` says what is wrong", cause: client.ErrIncomplete}
		}
		return err
	})
}

func listRooms(ctx context.Context, c *client.Client, o roomsOptions) (roomList, error) {
	q := client.RoomsQuery{Search: o.search + o.prefix, PageSize: min(o.limit+1, 500)}
	if o.all || o.prefix != "" {
		q.PageSize = 500
	}
	list := roomList{Rooms: []client.RoomSummary{}}
	for room, err := range c.Rooms(ctx, q) {
		if errors.Is(err, client.ErrIncomplete) {
			list.Incomplete = true
			break
		}
		if err != nil {
			return roomList{}, err
		}
		if !strings.HasPrefix(room.RoomName, o.prefix) {
			continue
		}
		if !o.all && len(list.Rooms) == o.limit {
			list.More = true
			break
		}
		list.Rooms = append(list.Rooms, room)
	}
	return list, nil
}

func (a *app) printRooms(list roomList, o roomsOptions) error {
	if len(list.Rooms) == 0 {
		text := "Redis holds no room now."
		switch {
		case list.Incomplete:
			text = "The part of Redis that answers holds no such room."
		case o.search+o.prefix != "":
			text = "Redis holds no room with such a name now."
		}
		_, err := fmt.Fprintln(a.stdout, text)
		return err
	}
	rows, people := [][]string{{"ROOM", "PEOPLE", "STARTED", "UPDATED"}}, 0
	for _, r := range list.Rooms {
		people += r.ParticipantCount
		rows = append(rows, []string{safe(r.RoomName), fmt.Sprint(r.ParticipantCount), clock(r.CreatedAt), clock(r.LastUpdated)})
	}
	if err := a.table(rows); err != nil {
		return err
	}
	end := count(people, "person") + " in " + count(len(list.Rooms), "room")
	if list.More {
		end += ", and more: give --all or --limit"
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s\n", end)
	return err
}

func (a *app) roomCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "room NAME",
		Short: "Show one room and who is in it",
		Args:  exactName,
	}
	timeline := cmd.Flags().Bool("timeline", false, "show the room's last changes and what caused them")
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, args []string, asJSON bool) error {
		if *timeline {
			return show(a, asJSON, a.printTimeline)(c.Timeline(ctx, args[0], 0))
		}
		room, err := c.Room(ctx, args[0])
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusNotFound && refused.Message != "" {
			return &explainedError{line: fmt.Sprintf("no live room is named %q: rollcall rooms lists them", args[0]), cause: err}
		}
		return show(a, asJSON, a.printRoom)(room, err)
	})
}

func (a *app) printRoom(r client.Room) error {
	if err := a.table([][]string{
		{"Room", safe(r.RoomName)},
		{"SID", orDash(r.SID)},
		{"Started", clock(r.CreatedAt)},
		{"Updated", clock(r.LastUpdated)},
		{"Limit", limitText(r.MaxParticipants)},
		{"Metadata", orDash(clip(r.Metadata, 200))},
		{"Participants", fmt.Sprint(len(r.Participants))},
	}); err != nil || len(r.Participants) == 0 {
		return err
	}
	fmt.Fprintln(a.stdout)
	rows := [][]string{{"IDENTITY", "NAME", "KIND", "JOINED", "SID"}}
	for _, p := range r.Participants {
		kind := p.Kind
		if p.Hidden {
			kind += " (hidden)"
		}
		rows = append(rows, []string{safe(p.Identity), orDash(p.Name), orDash(kind), clock(p.JoinedAt), orDash(p.SID)})
	}
	return a.table(rows)
}

func limitText(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
