package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/internal/config"
)

func (a *app) watchCommand() *cobra.Command {
	var room string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show changes as they happen, until Ctrl-C",
		Long: `Show who joins and leaves, rooms that start and finish, and what the cluster does,
one line each, until Ctrl-C. A connection that breaks is made again, and the
changes that were missed are shown. With --json, one JSON object a line.`,
		Args: noEmptyRoom,
	}
	cmd.Flags().StringVar(&room, "room", "", "only the changes of the room of this `name`")
	return a.asking(cmd, noTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		now, err := reachable(ctx, c, room)
		if err != nil {
			return err
		}
		columns := &watchColumns{palette: a.colours, room: 16, held: map[string]client.Held{}}
		if text := columns.beginning(now); room == "" && !asJSON && text != "" {
			fmt.Fprintln(a.stdout, text)
		}
		for event, err := range c.Events(ctx, client.EventsQuery{Room: room}) {
			if ctx.Err() != nil {
				return nil // Ctrl-C is the normal end
			}
			if err != nil {
				return err
			}
			if err := a.print(columns, event, asJSON); err != nil {
				return err
			}
		}
		return nil
	})
}

// reachable returns an error where watching would retry forever. If all rooms are watched, it returns the status.
func reachable(ctx context.Context, c *client.Client, room string) (client.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if room == "" {
		return c.Status(ctx)
	}
	_, err := c.Timeline(ctx, room, 1)
	return client.Status{}, err
}

func (a *app) print(columns *watchColumns, e client.Event, asJSON bool) error {
	if asJSON {
		if e.Connected {
			return nil
		}
		return json.NewEncoder(a.stdout).Encode(eventJSON(e))
	}
	line := columns.line(e)
	if line == "" {
		return nil
	}
	_, err := io.WriteString(a.stdout, line+"\n")
	return err
}

// eventJSON returns an event under its name.
func eventJSON(e client.Event) map[string]any {
	all := map[string]any{}
	switch {
	case e.Change != nil:
		all["change"], all["id"] = e.Change, e.ID
	case e.Leader != nil:
		all["leader"] = e.Leader
	case e.Members != nil:
		all["members"] = e.Members
	case e.Service != nil:
		all["service"] = e.Service
	case e.Redis != nil:
		all["redis"] = e.Redis
	case e.Sync != nil:
		all["sync"] = e.Sync
	case e.Cleanup != nil:
		all["cleanup"] = e.Cleanup
	}
	return all
}

// watchColumns aligns the lines of watch. The column of rooms widens with the names.
type watchColumns struct {
	palette
	room int
	held map[string]client.Held // what the last sync and the last cleanup held
}

// beginning returns what is wrong as watching begins, as lines; "" if all is well.
func (w *watchColumns) beginning(s client.Status) string {
	lines := []string{"", w.heldLine("sync", s.LastSync), w.heldLine("cleanup", s.LastCleanup)}
	if err := s.Check(); err != nil {
		lines[0] = w.columns(time.Now(), "now", plain, w.colorize(bad, err.Error()))
	}
	return joined(lines)
}

func joined(lines []string) string {
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), "\n")
}

// line returns an event as a line or two, or "" if it is not worth one. Changes have the time of their commit, others that of their
// arrival here.
func (w *watchColumns) line(e client.Event) string {
	if e.Change != nil {
		return w.changeText(*e.Change)
	}
	lines := []string{"", w.heldLine("sync", e.Sync), w.heldLine("cleanup", e.Cleanup)}
	if what, text := w.eventText(e); what != "" {
		lines[0] = w.columns(time.Now(), what, plain, text)
	}
	return joined(lines)
}

// heldLine says that the breaker holds removals, or no longer; "" if the report says nothing new. A cycle with a fault decides nothing.
func (w *watchColumns) heldLine(kind string, r *client.Report) string {
	if r == nil || r.Fault != "" {
		return ""
	}
	var now client.Held
	if r.Held != nil {
		now = *r.Held
	}
	was := w.held[kind]
	w.held[kind] = now
	switch {
	case now.Any() && now != was:
		return w.columns(time.Now(), kind, plain, fmt.Sprintf("%s: %s are gone from LiveKit and are kept; %d of 3 scheduled syncs agree (rollcall status: what to do)",
			w.colorize(bad, "HELD"), now, now.Cycles))
	case !now.Any() && was.Any():
		return w.columns(time.Now(), kind, plain, w.colorize(good, "RELEASED")+": nothing is held any more")
	}
	return ""
}

func (w *watchColumns) columns(at time.Time, what string, hue color, text string) string {
	return at.UTC().Format("2006-01-02 15:04:05.000Z") + "  " + w.colorize(hue, fmt.Sprintf("%-8s", what)) + "  " + text
}

func (p palette) eventText(e client.Event) (what, text string) {
	switch {
	case e.Leader != nil && e.Leader.Leader == "":
		return "leader", p.colorize(bad, "none")
	case e.Leader != nil:
		return "leader", fmt.Sprintf("%s, term %d", safe(e.Leader.Leader), e.Leader.Term)
	case e.Members != nil:
		names := make([]string, len(e.Members.Members))
		for i, name := range e.Members.Members {
			names[i] = safe(name)
		}
		return "members", strings.Join(names, ", ")
	case e.Service != nil && e.Service.Running:
		return "schedule", "the schedule is " + p.colorize(good, "running")
	case e.Service != nil:
		return "schedule", "the schedule is " + p.colorize(bad, "stopped")
	case e.Redis != nil:
		if t := (client.Status{Redis: e.Redis}).RedisTrouble(); t != nil {
			return "redis", p.colorize(bad, t.String())
		}
		return "redis", "Redis " + p.colorize(good, "answers")
	case e.Sync != nil && interesting(*e.Sync):
		return "sync", e.Sync.Text(p.alarm)
	case e.Cleanup != nil && interesting(*e.Cleanup):
		return "cleanup", e.Cleanup.Text(p.alarm)
	}
	return "", ""
}

// interesting reports whether a cycle found something; the others would only fill the screen.
func interesting(r client.Report) bool {
	return r.Changed+r.Result.Cleaned+r.Result.Errors > 0
}

func (w *watchColumns) changeText(c client.Change) string {
	what := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(c.Type, "participant_"), "room_"), "_", " ")
	room, rest := safe(c.Room), ""
	if strings.HasPrefix(c.Type, "participant_") {
		rest = "  " + safe(c.Identity)
	}
	rest += leaveText(c.Reason)
	if c.Cause != "webhook" {
		rest += "  (by " + safe(c.Cause) + ")"
	}
	w.room = max(w.room, utf8.RuneCountInString(room))
	pad := strings.Repeat(" ", w.room-utf8.RuneCountInString(room))
	return w.columns(time.UnixMilli(c.Time), safe(what), changeColor(c.Type), strings.TrimRight(room+pad+rest, " "))
}

// leaveText returns why a participant left, in LiveKit's words: CONNECTION_TIMEOUT is "connection timeout".
func leaveText(reason string) string {
	if reason == "" || reason == "UNKNOWN_REASON" {
		return ""
	}
	return "  (" + safe(strings.ToLower(strings.ReplaceAll(reason, "_", " "))) + ")"
}

func (a *app) driftCommand() *cobra.Command {
	var q client.DriftQuery
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Show what the syncs had to repair, by room and reason",
		Args:  noEmptyRoom,
	}
	cmd.Flags().StringVar(&q.Room, "room", "", "only repairs of the room of this `name`")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "only repairs for this `reason`, such as \"missed join\"")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many repairs to list, 1 to 1000")
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		if q.Limit < 1 || q.Limit > 1000 {
			return &config.UsageError{Lines: []string{"--limit: give a number from 1 to 1000"}}
		}
		return show(a, asJSON, a.printDrift)(c.Drift(ctx, q))
	})
}

func (a *app) printDrift(d client.Drift) error {
	if len(d.Entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No repairs are recorded. Syncs look for them while LiveKit answers: `rollcall status` shows the last one.")
		return err
	}
	rows := [][]string{{"TIME", "ROOM", "REASON", "IDENTITY", "CAUSE", "NODE"}}
	for _, e := range d.Entries {
		rows = append(rows, []string{clock(e.Time), safe(e.Room), orDash(e.Reason), orDash(e.Identity), orDash(e.Cause), orDash(e.Node)})
	}
	if err := a.table(rows, colored{2, driftColor}); err != nil {
		return err
	}
	var sums []string
	for _, reason := range slices.Sorted(maps.Keys(d.Totals)) {
		sums = append(sums, fmt.Sprintf("%d %s", d.Totals[reason], safe(reason)))
	}
	_, err := fmt.Fprintf(a.stdout, "\nIn all: %s\n", strings.Join(sums, ", "))
	return err
}

// whyText returns what a sync repaired. For a leave that a webhook reported, it is LiveKit's reason.
func whyText(e client.TimelineEntry) string {
	if e.Reason != "" {
		return e.Reason
	}
	return strings.Trim(leaveText(e.DisconnectReason), " ()")
}

func (a *app) printTimeline(entries []client.TimelineEntry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No changes are known: the room never existed, ended more than 24 h ago, or --timeline is off.")
		return err
	}
	rows := [][]string{{"TIME", "CHANGE", "IDENTITY", "CAUSE", "REASON", "EVENT", "VERSION", "OWNER"}}
	for _, e := range entries {
		rows = append(rows, []string{clock(e.Time), orDash(e.Type), orDash(e.Identity), orDash(e.Cause), orDash(whyText(e)),
			orDash(e.Event), fmt.Sprint(e.Version), orDash(e.Owner)})
	}
	return a.table(rows, colored{1, changeColor})
}
