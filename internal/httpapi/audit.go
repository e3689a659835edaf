package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// credentials are what a caller showed, for the audit log: never the token itself.
type credentials struct {
	// kind is admin, livekit (a valid LiveKit access token), local (none is needed), none, invalid, or empty if they were not looked at.
	kind     string
	identity string // of a LiveKit token
}

// auditLog writes one line for each admin action, on the node that the caller asked and nowhere else.
type auditLog struct {
	log  *slog.Logger
	node string
	// strangers limits the lines about callers without valid credentials, who could otherwise fill the disk.
	strangers *rate.Limiter
	skipped   atomic.Int64
}

// Lines about callers without valid credentials: this many at once, and then one a second.
const strangerLines = 60

func newAuditLog(log *slog.Logger, node string) *auditLog {
	return &auditLog{log: log, node: node, strangers: rate.NewLimiter(1, strangerLines)}
}

// audit is the line about one admin action.
type audit struct {
	to            *auditLog
	action        string
	dryRun, force bool
	room, target  string // of a sync of one room; the node to remove
	who           credentials
	peer          string
	admitted      bool // the caller has the right to act
	begun         bool // the action writes the line when it ends
}

// unknownAction stands for an action that is none, or whose request was refused unread.
const unknownAction = "unknown"

// audited serves an endpoint for admin actions. An action that has begun writes its own line.
func (a *api) audited(c *call, e *endpoint) (value any, err error) {
	c.audit = &audit{to: a.audits, action: actionOf(c.pattern()), peer: c.r.RemoteAddr}
	err = errPanicked
	defer func() {
		if c.audit.begun {
			return
		}
		if !c.audit.admitted {
			c.audit.who = c.as
			c.audit.peek(c)
		}
		c.audit.end(value, err)
	}()
	return a.serve(c, e)
}

var errPanicked = refuse(http.StatusInternalServerError, "Internal error; the log of this node says more")

// actionOf returns the action of a path that has only one.
func actionOf(pattern string) string {
	switch pattern {
	case "/api/sync-rooms":
		return unknownAction
	case "/api/cluster":
		return "remove"
	}
	return strings.TrimPrefix(pattern, "/api/")
}

// name sets the action of a request to /api/sync-rooms.
func (l *audit) name(req actionRequest) {
	l.action, l.dryRun, l.force, l.room = unknownAction, req.dryRun, req.force, req.room
	if slices.Contains([]string{"sync", "cleanup", "full-sync", "start-service", "stop-service"}, req.action) {
		l.action = req.action
	}
}

// What peek reads: small bodies, if they have arrived or do so at once.
const (
	peekBytes  = 4 << 10
	peekWithin = 250 * time.Millisecond
)

// peek reads what a caller who was refused had asked for.
func (l *audit) peek(c *call) {
	if n := c.r.ContentLength; l.action != unknownAction || n <= 0 || n > peekBytes {
		return
	}
	_ = http.NewResponseController(&c.w).SetReadDeadline(time.Now().Add(peekWithin))
	body, err := io.ReadAll(io.LimitReader(c.r.Body, peekBytes))
	var asked struct {
		Action, Room  string
		DryRun, Force bool
	}
	if err == nil && json.Unmarshal(body, &asked) == nil {
		l.name(actionRequest{action: asked.Action, dryRun: asked.DryRun, force: asked.Force, room: asked.Room})
	}
}

// admit says that the caller has the right to act. A nil audit is of no action.
func (l *audit) admit(who credentials) {
	if l != nil {
		l.admitted, l.who = true, who
	}
}

// begin says that the action has begun. A nil audit writes no line.
func (l *audit) begin() {
	if l != nil {
		l.begun = true
	}
}

// end writes the line.
func (l *audit) end(value any, err error) {
	if l == nil {
		return
	}
	suppressed := int64(0)
	if k := l.who.kind; k == "" || k == "none" || k == "invalid" {
		if !l.to.strangers.Allow() {
			l.to.skipped.Add(1)
			return
		}
		suppressed = l.to.skipped.Swap(0)
	}
	outcome, why := outcomeOf(value, err)
	attrs := []slog.Attr{slog.String("action", l.action), slog.String("outcome", outcome), slog.Bool("dryRun", l.dryRun), slog.Bool("force", l.force),
		slog.String("who", cmp.Or(l.who.kind, "unknown"))}
	add := func(name, text string, when bool) {
		if when {
			attrs = append(attrs, slog.String(name, printable(text)))
		}
	}
	add("identity", l.who.identity, l.who.kind == "livekit")
	add("room", l.room, l.room != "")
	add("target", l.target, l.target != "")
	attrs = append(attrs, slog.String("peer", l.peer), slog.String("node", l.to.node))
	add("error", why, why != "")
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64("suppressed", suppressed))
	}
	l.to.log.LogAttrs(context.Background(), slog.LevelInfo, "admin action", attrs...)
}

// outcomeOf returns the outcome of an action, from a closed list, and the reason for one that is not done.
func outcomeOf(value any, err error) (outcome, why string) {
	if answer, ok := value.(actionAnswer); ok && err == nil && answer.Fault != "" {
		return "failed", answer.FirstError // it has an answer: no room was compared
	}
	if err == nil {
		return "done", ""
	}
	switch p := explain(err); {
	case p.status == http.StatusUnauthorized:
		return "unauthorized", p.text
	case p.status == http.StatusForbidden:
		return "forbidden", p.text
	case p.status < http.StatusInternalServerError:
		return "refused", p.text
	case p.status == http.StatusInternalServerError:
		return "failed", p.text // the cause may have a stack
	}
	return "failed", err.Error()
}

// maxPrinted is how many bytes of a text that callers choose a line shows.
const maxPrinted = 256

// printable returns a text that callers choose as a line shows it: what could move the cursor of a terminal or end a line is
// escaped as in Go, and so are backslashes then, so that no two texts look the same.
func printable(s string) string {
	rest := ""
	if len(s) > maxPrinted {
		s, rest = s[:maxPrinted], "…"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		quoted := strconv.Quote(s)
		s = quoted[1 : len(quoted)-1]
	}
	return s + rest
}
