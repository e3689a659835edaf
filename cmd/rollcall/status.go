package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/internal/config"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the schedule runs, who leads, whether Redis and LiveKit answer, and what the last runs did",
		Long: `Show the state of the cluster, and what to do if something is wrong. With --check, exit 1 and
name it if there is no leader, Redis or LiveKit does not answer, the schedule is stopped, the
breaker holds removals, or the last sync failed. A node that is away fails no check, because
it comes back by itself.`,
		Args: noArgs,
	}
	check := cmd.Flags().Bool("check", false, "exit 1 if something is wrong, and name it: for scripts")
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(a.stdout, s)
		} else {
			nodes := client.Cluster{Leader: s.Leader}
			if s.Node != "" {
				nodes, _ = c.Cluster(ctx) // without an answer, no missing node is named
			}
			_, err = io.WriteString(a.stdout, a.colours.statusText(s, nodes))
		}
		if *check && err == nil {
			err = s.Check()
		}
		return err
	})
}

// statusText formats a status for people. All ages are by the clock of the node that answers. nodes are the cluster's, if it answered.
func (p palette) statusText(s client.Status, nodes client.Cluster) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", label, fmt.Sprintf(format, args...))
	}
	if s.SyncServiceRunning {
		line("Schedule", "%s", p.colorize(good, "running"))
	} else {
		line("Schedule", "%s: nothing is synced by itself; webhooks are still served. Start it: rollcall start", p.colorize(bad, "STOPPED"))
	}
	line("Leader", "%s", p.leaderText(s, nodes))
	line("Node", "%s", orDash(s.Node))
	if text := safe(nodes.Summary()); strings.Contains(text, ":") {
		line("Nodes", "%s", p.colorize(doubtful, text))
	} else if len(nodes.Members) > 1 {
		line("Nodes", "%s", text)
	}
	p.answersText(line, "Redis", s.Redis, s.RedisTrouble(), s.Timestamp)
	p.answersText(line, "LiveKit", s.LiveKit, s.LiveKitTrouble(), s.Timestamp)
	if now := s.Progress; now != nil && now.Slow {
		line("Running", "%s", p.colorize(bad, fmt.Sprintf("a %s since %s, %d of %d rooms: it cannot end within 5 min", safe(now.Kind),
			span(max(s.Timestamp.Sub(now.StartedAt), 0)), now.Done, now.Of)))
	}
	p.runText(line, "Last sync", s.LastSync, s.Timestamp)
	nextText(line, "Next sync", s.NextSync, s.SyncInterval, s)
	p.runText(line, "Last cleanup", s.LastCleanup, s.Timestamp)
	nextText(line, "Next cleanup", s.NextCleanup, s.CleanupInterval, s)
	b.WriteString(p.heldText(s))
	return b.String()
}

// answersText says whether something answers, and if not, what to do.
func (p palette) answersText(line lineFunc, label string, d *client.Dependency, t *client.Trouble, now time.Time) {
	switch {
	case d == nil:
	case t != nil:
		lasts := ""
		if d.Since != nil {
			lasts = " for " + span(max(now.Sub(*d.Since), 0))
		}
		line(label, "%s%s: %s", p.colorize(bad, strings.ToUpper(t.What)), lasts, t.Todo)
		line("", "%s", safe(clip(t.Error, 300)))
	case d.State == "unknown":
		line(label, "not asked by the last sync")
	case d.At != nil:
		line(label, "%s %s ago", p.colorize(good, "answered"), span(max(now.Sub(*d.At), 0)))
	default:
		line(label, "%s", p.colorize(good, "answers"))
	}
}

func (p palette) leaderText(s client.Status, nodes client.Cluster) string {
	if t := nodes.LeaderTrouble(); s.Leader == "" && t != nil {
		return p.colorize(bad, "NONE") + ": " + safe(t.Todo)
	}
	text := safe(s.Leader)
	if s.Term > 0 {
		text += fmt.Sprintf(", term %d", s.Term)
	}
	return text
}

type lineFunc func(label, format string, args ...any)

func (p palette) runText(line lineFunc, label string, r *client.Report, now time.Time) {
	if r == nil {
		line(label, "none yet")
		return
	}
	why := "by hand"
	if r.Scheduled {
		why = "scheduled"
	}
	line(label, "%s ago, %s, took %s", span(max(now.Sub(r.StartedAt), 0)), why, span(time.Duration(r.DurationMs)*time.Millisecond))
	line("", "%s", p.reportText(*r))
	if r.FirstError != "" && r.Fault == "" {
		line("", "%s", p.colorize(bad, "first error: "+safe(r.FirstError)))
	}
	if r.Slow {
		line("", "%s", p.colorize(bad, "it took longer than 5 min: LiveKit's request budget is small for that many rooms, or LiveKit or Redis is slow"))
	}
	if r.PassedOver != nil {
		line("", "%s", p.colorize(bad, fmt.Sprintf("passed over: %d of LiveKit's list entries; the first is %s", r.PassedOver.Entries, safe(r.PassedOver.First))))
	}
	if len(r.Drift) > 0 {
		var parts []string
		for _, reason := range slices.Sorted(maps.Keys(r.Drift)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.Drift[reason], safe(reason)))
		}
		line("", "repaired: %s", strings.Join(parts, ", "))
	}
}

func compared(rooms int) string { return count(rooms, "room") + " compared" }

func (p palette) errorsText(n int) string {
	if n == 0 {
		return ", no errors"
	}
	return ", " + p.colorize(bad, strings.ToUpper(count(n, "error")))
}

func nextText(line lineFunc, label string, next *time.Time, every client.Interval, s client.Status) {
	if !s.SyncServiceRunning {
		line(label, "none while the schedule is stopped")
		return
	}
	text := "not known"
	if next != nil {
		text = "due now"
		if wait := next.Sub(s.Timestamp); wait > 0 {
			text = "in " + span(wait)
		}
	}
	if every > 0 {
		text += ", every " + config.FormatDuration(time.Duration(every))
	}
	line(label, "%s", text)
}

// heldText says what the breaker holds back, and what to do.
func (p palette) heldText(s client.Status) string {
	var b strings.Builder
	for _, r := range []struct {
		report        *client.Report
		what, command string
	}{{s.LastSync, "sync", "rollcall sync --force"}, {s.LastCleanup, "cleanup", "rollcall cleanup --force"}} {
		if r.report == nil || r.report.Held == nil {
			continue
		}
		h := *r.report.Held
		if h.Rooms == 0 && h.Participants == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s by the %s: LiveKit no longer lists %s and %s. That is more than half, so nothing was removed.\n",
			p.colorize(doubtful, "HELD"), r.what, count(h.Rooms, "room"), count(h.Participants, "participant"))
		fmt.Fprintf(&b, "  LiveKit is failing or empty by mistake?  Repair it and do nothing here: nothing is lost.\n")
		fmt.Fprintf(&b, "  They are really gone?                    Let them go: %s (look first: add --dry-run)\n", r.command)
		if s.SyncServiceRunning {
			fmt.Fprintf(&b, "  You do nothing?                          They go after 3 scheduled cycles that agree; %d so far.\n", h.Cycles)
		}
	}
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return safe(s)
}
