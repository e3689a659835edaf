package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the sync runs, who leads, and what the last runs did",
		Args:  noArgs,
	}
	return a.asking(cmd, readTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, s)
			}
			_, err = io.WriteString(a.stdout, a.colours.statusText(s))
			return err
		}
	})
}

// statusText is a status for people. All ages are by the answering node's clock.
func (p palette) statusText(s client.Status) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", label, fmt.Sprintf(format, args...))
	}
	if s.SyncServiceRunning {
		line("Service", "%s", p.paint(good, "running"))
	} else {
		line("Service", "%s: nothing is synced by itself; webhooks are still served. Start it: rollcall start", p.paint(bad, "STOPPED"))
	}
	line("Leader", "%s", p.leaderText(s))
	line("Node", "%s", orDash(s.Node))
	if now := s.Progress; now != nil && now.Slow {
		line("Running", "%s", p.paint(bad, fmt.Sprintf("a %s since %s, %d of %d rooms: it cannot end within 5 min", safe(now.Kind),
			span(max(s.Timestamp.Sub(now.StartedAt), 0)), now.Done, now.Of)))
	}
	p.runText(line, "Last sync", s.LastSync, s.Timestamp)
	nextText(line, "Next sync", s.NextSync, s.SyncInterval, s)
	p.runText(line, "Last cleanup", s.LastCleanup, s.Timestamp)
	nextText(line, "Next cleanup", s.NextCleanup, s.CleanupInterval, s)
	b.WriteString(p.heldText(s))
	return b.String()
}

func (p palette) leaderText(s client.Status) string {
	if s.Leader == "" {
		return p.paint(bad, "NONE") + ": no sync runs until one is elected; if that takes longer than seconds, most nodes are down or out of reach"
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
	why := "asked for"
	if r.Scheduled {
		why = "scheduled"
	}
	line(label, "%s ago, %s, took %s", span(max(now.Sub(r.StartedAt), 0)), why, span(time.Duration(r.DurationMs)*time.Millisecond))
	line("", "%s", p.reportText(*r))
	if r.FirstError != "" {
		line("", "%s", p.paint(bad, "first error: "+safe(r.FirstError)))
	}
	if r.Slow {
		line("", "%s", p.paint(bad, "it took longer than 5 min: LiveKit's request budget is small for that many rooms, or LiveKit or Redis is slow"))
	}
	if r.PassedOver != nil {
		line("", "%s", p.paint(bad, fmt.Sprintf("passed over: %d of LiveKit's list entries; the first is %s", r.PassedOver.Entries, safe(r.PassedOver.First))))
	}
	if len(r.Drift) > 0 {
		var parts []string
		for _, reason := range sortedKeys(r.Drift) {
			parts = append(parts, fmt.Sprintf("%d %s", r.Drift[reason], safe(reason)))
		}
		line("", "repaired: %s", strings.Join(parts, ", "))
	}
}

func examined(rooms int) string { return count(rooms, "room") + " examined" }

func (p palette) errorsText(n int) string {
	if n == 0 {
		return ", no errors"
	}
	return ", " + p.paint(bad, strings.ToUpper(count(n, "error")))
}

func nextText(line lineFunc, label string, next *time.Time, every client.Interval, s client.Status) {
	if !s.SyncServiceRunning {
		line(label, "none while the service is stopped")
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
		text += ", every " + brief(time.Duration(every))
	}
	line(label, "%s", text)
}

// heldText says what the breaker holds, and what to do.
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
			p.paint(doubtful, "HELD"), r.what, count(h.Rooms, "room"), count(h.Participants, "participant"))
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
