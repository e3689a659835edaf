package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcallhq/rollcall/reconcile"
)

// auditRig is a server whose log is JSON.
func auditRig(t *testing.T, n *node) (*rig, *logs) {
	t.Helper()
	l := &logs{}
	return newRig(t, n, func(c *Config) {
		c.AdminToken, c.Node = adminToken, "n1"
		c.Log = slog.New(slog.NewJSONHandler(l, nil))
	}), l
}

// auditLines returns the audit lines, each as its fields except time, level and message.
func auditLines(t *testing.T, l *logs) (all []map[string]any) {
	t.Helper()
	for s := bufio.NewScanner(strings.NewReader(l.String())); s.Scan(); {
		line := map[string]any{}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, s.Text())
		}
		if line["msg"] == "admin action" && line["level"] == "INFO" {
			delete(line, "msg")
			delete(line, "level")
			delete(line, "time")
			all = append(all, line)
		}
	}
	return all
}

func bearerOf(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }

// TestAuditLines checks that each admin action, whatever becomes of it, is one line that says who asked for what.
func TestAuditLines(t *testing.T) {
	t.Parallel()
	grants := map[string]reconcile.Grant{"operator": {RoomList: true, RoomAdmin: true, Identity: "olga"}, "reader": {RoomList: true, Identity: "ray"}}
	type want map[string]any
	line := func(action, outcome, who string, more want) want {
		w := want{"action": action, "outcome": outcome, "who": who, "dryRun": false, "force": false, "peer": "127.0.0.1:4711", "node": "n1"}
		for k, v := range more {
			w[k] = v
		}
		return w
	}
	sync, force := `{"action":"sync"}`, `{"action":"sync","dryRun":true,"force":true}`
	unknown, unauthorized := "Invalid action. Use: sync, cleanup, full-sync, start-service, or stop-service", "Unauthorized: the token is wrong, expired or not valid yet"
	lacks := "The token does not allow this: an action needs roomList and roomAdmin, and no room"
	for _, c := range []struct {
		name, path, body string
		tweak            func(*http.Request)
		fault            error
		want             want
	}{
		{"a sync", "", sync, bearerOf(adminToken), nil, line("sync", "done", "admin", nil)},
		{"a forced dry run", "", force, bearerOf("operator"), nil, line("sync", "done", "livekit", want{"identity": "olga", "dryRun": true, "force": true})},
		{"one room", "", `{"action":"sync","room":"r"}`, bearerOf(adminToken), nil, line("sync", "done", "admin", want{"room": "r"})},
		{"a cleanup", "", `{"action":"cleanup"}`, bearerOf(adminToken), nil, line("cleanup", "done", "admin", nil)},
		{"a full sync", "", `{"action":"full-sync"}`, bearerOf(adminToken), nil, line("full-sync", "done", "admin", nil)},
		{"start", "", `{"action":"start-service"}`, bearerOf(adminToken), nil, line("start-service", "done", "admin", nil)},
		{"stop", "", `{"action":"stop-service"}`, bearerOf(adminToken), nil, line("stop-service", "done", "admin", nil)},
		{"a removal", "/api/cluster", `{"action":"remove","id":"n2"}`, bearerOf(adminToken), nil, line("remove", "done", "admin", want{"target": "n2"})},
		{"a failure", "", sync, bearerOf(adminToken), fmt.Errorf("gone: %w", ErrNoLeader), line("sync", "failed", "admin", want{"error": "gone: no leader"})},
		{"a refusal", "/api/cluster", `{"action":"remove","id":"n1"}`, bearerOf(adminToken), Refused{"not the last one"},
			line("remove", "refused", "admin", want{"target": "n1", "error": "not the last one"})},
		{"no such action", "", `{"action":"explode"}`, bearerOf(adminToken), nil, line("unknown", "refused", "admin", want{"error": unknown})},
		{"forbidden", "", force, bearerOf("reader"), nil, line("sync", "forbidden", "livekit", want{"identity": "ray", "dryRun": true, "force": true, "error": lacks})},
		{"a wrong token", "", sync, bearerOf("secret-guess"), nil, line("sync", "unauthorized", "invalid", want{"error": unauthorized})},
		{"no token", "", sync, func(*http.Request) {}, nil, line("sync", "unauthorized", "none", want{
			"error": "Unauthorized: this node wants a token: send the admin token, or a LiveKit access token, as Authorization: Bearer"})},
		{"another site's page", "", sync, header("Origin", "https://evil.example"), nil,
			line("sync", "forbidden", "unknown", want{"error": "Requests from other origins are refused"})},
	} {
		r, l := auditRig(t, &node{grants: grants, actErr: c.fault})
		path := "/api/sync-rooms"
		if c.path != "" {
			path = c.path
		}
		r.ask(http.MethodPost, path, c.body, c.tweak)
		got := auditLines(t, l)
		if len(got) != 1 {
			t.Errorf("%s: %d lines: %v", c.name, len(got), got)
			continue
		}
		if diff := cmp.Diff(c.want, want(got[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if strings.Contains(l.String(), adminToken) || strings.Contains(l.String(), "secret-guess") {
			t.Errorf("%s: the log holds a token: %s", c.name, l.String())
		}
	}
}

// TestReadsAreNotAudited checks that nothing but an action makes a line.
func TestReadsAreNotAudited(t *testing.T) {
	t.Parallel()
	r, l := auditRig(t, &node{})
	r.ask(http.MethodGet, "/api/sync-rooms", "", bearerOf(adminToken))
	r.ask(http.MethodGet, "/api/cluster", "")
	r.hook("{}")
	if got := auditLines(t, l); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestFaultIsAudited checks that a sync that compared nothing is not audited as done.
func TestFaultIsAudited(t *testing.T) {
	t.Parallel()
	r, l := auditRig(t, &node{report: reconcile.Report{Errors: 1, Error: "LiveKit does not answer", Fault: reconcile.LiveKitSilent}})
	r.ask(http.MethodPost, "/api/sync-rooms", `{"action":"sync"}`, bearerOf(adminToken))
	if got := auditLines(t, l); len(got) != 1 || got[0]["outcome"] != "failed" || got[0]["error"] != "LiveKit does not answer" {
		t.Errorf("got %v", got)
	}
}

// TestAuditAfterTheCallerHasLeft checks that an action whose caller disconnects is audited once, with its own outcome.
func TestAuditAfterTheCallerHasLeft(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan struct{})
	r, l := auditRig(t, &node{acting: func(context.Context) {
		leave()
		<-answered
	}})
	r.ask(http.MethodPost, "/api/sync-rooms", `{"action":"sync"}`, bearerOf(adminToken), func(req *http.Request) { *req = *req.WithContext(ctx) })
	if got := auditLines(t, l); len(got) != 0 {
		t.Errorf("the action still runs, but the log has %v", got)
	}
	close(answered)
	if err := r.Server.api.actions.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := auditLines(t, l); len(got) != 1 || got[0]["outcome"] != "done" {
		t.Errorf("got %v", got)
	}
}

// TestIdentityCannotBreakTheLine checks what an identity, a room and a node's name look like in both log formats.
func TestIdentityCannotBreakTheLine(t *testing.T) {
	t.Parallel()
	const evil = "a\nlevel=ERROR msg=\"forged\" \x1b[2J\u009b1m\u202e\u2028\xff=\" who=admin"
	grants := map[string]reconcile.Grant{"operator": {RoomList: true, RoomAdmin: true, Identity: evil + strings.Repeat("x", 10_000)}}
	body, err := json.Marshal(map[string]string{"action": "sync", "room": evil})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []func(l *logs) slog.Handler{
		func(l *logs) slog.Handler { return slog.NewTextHandler(l, nil) }, func(l *logs) slog.Handler { return slog.NewJSONHandler(l, nil) },
	} {
		l := &logs{}
		r := newRig(t, &node{grants: grants}, func(c *Config) { c.Log = slog.New(format(l)) })
		r.ask(http.MethodPost, "/api/sync-rooms", string(body), bearerOf("operator"))
		got := l.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\u009b\u202e\u2028") || !utf8.ValidString(got) || len(got) > 2000 {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
	for in, want := range map[string]string{"José 李": "José 李", `a"b`: `a"b`, "a\nb": `a\nb`, `a\nb`: `a\\nb`, "a\"\n": `a\"\n`} {
		if got := printable(in); got != want {
			t.Errorf("%q is printed as %q, want %q", in, got, want)
		}
	}
}

// TestStrangersCannotFloodTheAudit checks that the lines about callers without valid credentials are limited, and counted, and
// that they do not use up those of operators.
func TestStrangersCannotFloodTheAudit(t *testing.T) {
	t.Parallel()
	r, l := auditRig(t, &node{})
	for range strangerLines + 100 {
		r.ask(http.MethodPost, "/api/sync-rooms", `{"action":"sync"}`, bearerOf("guess"))
	}
	r.ask(http.MethodPost, "/api/sync-rooms", `{"action":"sync"}`, bearerOf(adminToken))
	got := auditLines(t, l)
	if n := len(got); n <= strangerLines || n > strangerLines+50 || got[n-1]["outcome"] != "done" {
		t.Errorf("%d lines, the last is %v", n, got[n-1])
	}
	if n := r.Server.api.audits.skipped.Load(); n == 0 {
		t.Error("no line was counted as left out")
	}
}

// TestPeekIsShort checks that a caller who is refused gets the answer although its body does not come.
func TestPeekIsShort(t *testing.T) {
	t.Parallel()
	r, l := auditRig(t, &node{})
	conn, err := net.Dial("tcp", serveRig(t, r).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	fmt.Fprint(conn, "POST /api/sync-rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if took := time.Since(began); answer.StatusCode != http.StatusUnauthorized || took > 3*time.Second {
		t.Errorf("got %d after %v", answer.StatusCode, took)
	}
	if got := auditLines(t, l); len(got) != 1 || got[0]["action"] != "unknown" || got[0]["outcome"] != "unauthorized" {
		t.Errorf("got %v", got)
	}
}
