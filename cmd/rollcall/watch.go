package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

func (a *app) watchCommand() *cobra.Command {
	var room string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show changes as they happen, until Ctrl-C",
		Long: `Show who joins and leaves, rooms that start and finish, and what the cluster does,
one line each, until Ctrl-C. A connection that breaks is made again, and the
changes that were missed are shown. With --json, one JSON object a line.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&room, "room", "", "only the changes of the room of this `name`")
	return a.asking(cmd, noTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			if err := reachable(ctx, c, room); err != nil {
				return err
			}
			for event, err := range c.Events(ctx, client.EventsQuery{Room: room}) {
				if ctx.Err() != nil {
					return nil // Ctrl-C is how it ends
				}
				if err != nil {
					return err
				}
				if err := a.tell(event, asJSON); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// reachable fails where watching would try again for ever.
func reachable(ctx context.Context, c *client.Client, room string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if room == "" {
		_, err := c.Status(ctx)
		return err
	}
	_, err := c.Timeline(ctx, room, 1)
	return err
}

func (a *app) tell(e client.Event, asJSON bool) error {
	if asJSON {
		if e.Connected {
			return nil
		}
		return json.NewEncoder(a.stdout).Encode(eventJSON(e))
	}
	line := a.colours.eventText(e)
	if line == "" {
		return nil
	}
	_, err := io.WriteString(a.stdout, line+"\n")
	return err
}

// eventJSON is an event under its name.
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
	case e.Sync != nil:
		all["sync"] = e.Sync
	case e.Cleanup != nil:
		all["cleanup"] = e.Cleanup
	}
	return all
}

func (p palette) eventText(e client.Event) string {
	switch {
	case e.Change != nil:
		return p.changeText(*e.Change)
	case e.Leader != nil && e.Leader.Leader == "":
		return "-- " + p.paint(bad, "no leader")
	case e.Leader != nil:
		return fmt.Sprintf("-- leader %s, term %d", safe(e.Leader.Leader), e.Leader.Term)
	case e.Members != nil:
		names := make([]string, len(e.Members.Members))
		for i, name := range e.Members.Members {
			names[i] = safe(name)
		}
		return fmt.Sprintf("-- members %s", strings.Join(names, ", "))
	case e.Service != nil && e.Service.Running:
		return "-- the sync service is " + p.paint(good, "running")
	case e.Service != nil:
		return "-- the sync service is " + p.paint(bad, "stopped")
	case e.Sync != nil && interesting(*e.Sync):
		return "-- sync: " + p.reportText(*e.Sync)
	case e.Cleanup != nil && interesting(*e.Cleanup):
		return "-- cleanup: " + p.reportText(*e.Cleanup)
	}
	return ""
}

// interesting cycles found something; the others would only fill the screen.
func interesting(r client.Report) bool {
	return r.Changed+r.Result.Cleaned+r.Result.Errors > 0
}

func (p palette) reportText(r client.Report) string {
	return fmt.Sprintf("%s, %d changed, %d removed%s%s", examined(r.Result.Synced), r.Changed, r.Result.Cleaned, deferredText(r),
		p.errorsText(r.Result.Errors))
}

// deferredText counts what a report leaves to the next cycle.
func deferredText(r client.Report) string {
	if r.Deferred == 0 {
		return ""
	}
	return fmt.Sprintf(", %d deferred", r.Deferred)
}

func (p palette) changeText(c client.Change) string {
	what := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(c.Type, "participant_"), "room_"), "_", " ")
	who := ""
	if strings.HasPrefix(c.Type, "participant_") {
		who = "  " + safe(c.Identity)
	}
	cause := leaveText(c.Reason)
	if c.Cause != "webhook" {
		cause += "  (by " + safe(c.Cause) + ")"
	}
	what = p.paint(changeInk(c.Type), fmt.Sprintf("%-8s", safe(what)))
	return fmt.Sprintf("%s  %s  %s%s%s", time.UnixMilli(c.Time).UTC().Format("15:04:05.000"), what, safe(c.Room), who, cause)
}

// leaveText is why a participant left, in LiveKit's words: CONNECTION_TIMEOUT is "connection timeout".
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
		Args:  noArgs,
	}
	cmd.Flags().StringVar(&q.Room, "room", "", "only repairs of the room of this `name`")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "only repairs for this `reason`, such as \"missed join\"")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many repairs to list, 1 to 1000")
	return a.asking(cmd, readTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			if q.Limit < 1 || q.Limit > 1000 {
				return &usageError{lines: []string{"--limit: give a number from 1 to 1000"}}
			}
			drift, err := c.Drift(ctx, q)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, drift)
			}
			return a.printDrift(drift)
		}
	})
}

func (a *app) printDrift(d client.Drift) error {
	if len(d.Entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No repairs: what the webhooks told was right.")
		return err
	}
	rows := [][]string{{"TIME", "ROOM", "REASON", "IDENTITY", "CAUSE", "NODE"}}
	for _, e := range d.Entries {
		rows = append(rows, []string{clock(e.Time), safe(e.Room), orDash(e.Reason), orDash(e.Identity), orDash(e.Cause), orDash(e.Node)})
	}
	if err := a.table(rows, inked{2, driftInk}); err != nil {
		return err
	}
	var sums []string
	for _, reason := range sortedKeys(d.Totals) {
		sums = append(sums, fmt.Sprintf("%d %s", d.Totals[reason], safe(reason)))
	}
	_, err := fmt.Fprintf(a.stdout, "\nIn all: %s\n", strings.Join(sums, ", "))
	return err
}

// whyText is what a sync repaired; of a leave that a webhook told, it is LiveKit's reason.
func whyText(e client.TimelineEntry) string {
	if e.Reason != "" {
		return e.Reason
	}
	return strings.Trim(leaveText(e.DisconnectReason), " ()")
}

func (a *app) printTimeline(entries []client.TimelineEntry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No changes are known: the room never was, ended more than 24 h ago, or --timeline is off.")
		return err
	}
	rows := [][]string{{"TIME", "CHANGE", "IDENTITY", "CAUSE", "REASON", "EVENT", "VERSION", "OWNER"}}
	for _, e := range entries {
		rows = append(rows, []string{clock(e.Time), orDash(e.Type), orDash(e.Identity), orDash(e.Cause), orDash(whyText(e)),
			orDash(e.Event), fmt.Sprint(e.Version), orDash(e.Owner)})
	}
	return a.table(rows, inked{1, changeInk})
}
