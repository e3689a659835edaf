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
		Short: "Show whether the schedule runs, who leads, whether Redis and LiveKit answer, and what the last sync and cleanup did",
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
		nodes := client.Cluster{Leader: s.Leader}
		if s.Node != "" {
			nodes, _ = c.Cluster(ctx) // without an answer, no missing node is named
		}
		if asJSON {
			err = printJSON(a.stdout, statusAndNodes{s, nodes.Members})
		} else {
			_, err = io.WriteString(a.stdout, a.colours.statusText(s, nodes))
		}
		if *check && err == nil {
			err = s.Check()
		}
		return err
	})
}

// statusAndNodes is what status --json prints.
type statusAndNodes struct {
	client.Status
	Members []client.Member `json:"members,omitempty"` // as in cluster --json
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
		line("Schedule", "%s: nothing is synced by itself, and what webhooks miss is not repaired. Start it: rollcall start", p.colorize(bad, "STOPPED"))
	}
	line("Leader", "%s", p.leaderText(s, nodes))
	line("Node", "%s", orDash(s.Node))
	if text := sentence(nodes.Summary()); strings.Contains(text, ":") {
		line("Nodes", "%s", p.colorize(doubtful, text))
	} else if len(nodes.Members) > 1 {
		line("Nodes", "%s", text)
	}
	p.answersText(line, "Redis", s.Redis, s.RedisTroubleAmong(nodes), s.Timestamp)
	p.answersText(line, "LiveKit", s.LiveKit, s.LiveKitTrouble(), s.Timestamp)
	if now := s.Progress; now != nil && now.Slow {
		line("Running", "%s", p.colorize(bad, fmt.Sprintf("a %s since %s, %d of %d rooms: it cannot end within 5 min", safe(now.Kind),
			span(max(s.Timestamp.Sub(now.StartedAt), 0)), now.Done, now.Of)))
	}
	p.runText(line, "Last sync", s.LastSync, s.Timestamp)
	if s.LastGoodSync != nil && s.LastSync != nil && !s.LastGoodSync.Equal(s.LastSync.StartedAt) {
		line("", "last good sync %s", moment(*s.LastGoodSync, s.Timestamp))
	} else if s.LastGoodSync == nil && s.LastSync != nil && s.LastSync.Result.Errors > 0 {
		line("", "no good sync is known")
	}
	nextText(line, "Next sync", s.NextSync, s.SyncInterval, s)
	p.runText(line, "Last cleanup", s.LastCleanup, s.Timestamp)
	nextText(line, "Next cleanup", s.NextCleanup, s.CleanupInterval, s)
	b.WriteString(s.HeldText(func(text string) string { return p.colorize(doubtful, text) }))
	return b.String()
}

// answersText says whether something answers, and if not, what to do.
func (p palette) answersText(line lineFunc, label string, d *client.Dependency, t *client.Trouble, now time.Time) {
	switch {
	case d == nil:
	case t != nil:
		lasts := ""
		if d.Since != nil {
			lasts = " since " + moment(*d.Since, now)
		}
		line(label, "%s%s: %s", p.colorize(bad, strings.ToUpper(t.What)), lasts, t.Todo)
		line("", "%s", sentence(clip(t.Error, 300)))
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
		return p.colorize(bad, "NONE") + ": " + sentence(t.Todo)
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
	line("", "%s", r.Text(p.alarm))
	if r.FirstError != "" && r.Fault == "" {
		line("", "%s", p.colorize(bad, "first error: "+sentence(clip(r.FirstError, 300))))
	}
	if r.Slow {
		line("", "%s", p.colorize(bad, "it took longer than 5 min: LiveKit's request budget is small for that many rooms, or LiveKit or Redis is slow"))
	}
	if r.PassedOver != nil {
		line("", "%s", p.colorize(bad, fmt.Sprintf("passed over: %d of LiveKit's list entries; the first is %s", r.PassedOver.Entries, sentence(r.PassedOver.First))))
	}
	if len(r.Drift) > 0 {
		var parts []string
		for _, reason := range slices.Sorted(maps.Keys(r.Drift)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.Drift[reason], safe(reason)))
		}
		line("", "repaired: %s", strings.Join(parts, ", "))
	}
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

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return safe(s)
}
