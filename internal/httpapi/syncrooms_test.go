package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

var stamps = regexp.MustCompile(`"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)

// undated replaces the answer's time if it has the required format.
func undated(body string) string { return stamps.ReplaceAllString(body, `"timestamp":"T"`) }

func TestActions(t *testing.T) {
	const counts = `{"synced":5,"errors":1,"cleaned":2}`
	const change = `{"room":"r","change":"participant_left","identity":"u","sid":"PA_1","reason":"missed leave"}`
	dry := reconcile.Report{Synced: 5, Errors: 1, Cleaned: 2, Differences: []reconcile.Difference{{Room: "r", Change: reconcile.ParticipantLeft, Identity: "u", SID: "PA_1", Reason: reconcile.MissedLeave}}}
	for _, c := range []struct {
		body   string
		report reconcile.Report
		asked  string
		answer string
	}{
		{`{"action":"sync"}`, reconcile.Report{Synced: 5, Errors: 1, Cleaned: 2}, "sync dry false force false",
			`{"action":"sync","result":` + counts + `,"timestamp":"T"}`},
		{`{"action":"sync"}`, reconcile.Report{Errors: 1, Error: "no answer", Fault: reconcile.LiveKitSilent, RedisEmpty: true}, "sync dry false force false",
			`{"action":"sync","result":{"synced":0,"errors":1,"cleaned":0},"firstError":"no answer","fault":"livekit_silent","redisEmpty":true,"timestamp":"T"}`},
		{`{"action":"cleanup"}`, reconcile.Report{Cleaned: 2}, "cleanup dry false force false",
			`{"action":"cleanup","cleaned":2,"timestamp":"T"}`},
		{`{"action":"cleanup"}`, reconcile.Report{}, "cleanup dry false force false", `{"action":"cleanup","cleaned":0,"timestamp":"T"}`},
		{`{"action":"full-sync"}`, reconcile.Report{Synced: 5, Errors: 1, Cleaned: 2}, "full-sync dry false force false",
			`{"action":"full-sync","sync":` + counts + `,"cleanup":2,"timestamp":"T"}`},
		{`{"action":"start-service"}`, reconcile.Report{}, "service true", `{"action":"start-service","running":true,"timestamp":"T"}`},
		{`{"action":"stop-service","dryRun":false}`, reconcile.Report{}, "service false", `{"action":"stop-service","running":false,"timestamp":"T"}`},
		{`{"action":"sync","force":true}`, reconcile.Report{Synced: 5, Errors: 1, Cleaned: 2}, "sync dry false force true",
			`{"action":"sync","result":` + counts + `,"timestamp":"T"}`},
		{`{"action":"sync","room":"a \"b\"","force":true}`, reconcile.Report{Synced: 1, Rooms: 1}, `sync dry false force true room a "b"`,
			`{"action":"sync","room":"a \"b\"","found":true,"result":{"synced":1,"errors":0,"cleaned":0},"timestamp":"T"}`},
		{`{"action":"sync","room":"nowhere"}`, reconcile.Report{Synced: 1}, `sync dry false force false room nowhere`,
			`{"action":"sync","room":"nowhere","found":false,"result":{"synced":1,"errors":0,"cleaned":0},"timestamp":"T"}`},
		{`{"action":"sync","room":"r"}`, reconcile.Report{Errors: 1, Error: "no answer", Fault: reconcile.LiveKitSilent}, `sync dry false force false room r`,
			`{"action":"sync","room":"r","result":{"synced":0,"errors":1,"cleaned":0},"firstError":"no answer","fault":"livekit_silent","timestamp":"T"}`},
		{`{"action":"sync","dryRun":true}`, dry, "sync dry true force false",
			`{"action":"sync","result":` + counts + `,"wouldChange":[` + change + `],"timestamp":"T"}`},
		{`{"action":"full-sync","dryRun":true}`, dry, "full-sync dry true force false",
			`{"action":"full-sync","sync":` + counts + `,"cleanup":2,"wouldChange":[` + change + `,` + change + `],"timestamp":"T"}`},
		{`{"action":"cleanup","dryRun":true}`, reconcile.Report{}, "cleanup dry true force false",
			`{"action":"cleanup","cleaned":0,"wouldChange":[],"timestamp":"T"}`},
		{`{"action":"sync"}`, reconcile.Report{Held: &reconcile.Held{Rooms: 11, Participants: 30, Cycles: 2}}, "sync dry false force false",
			`{"action":"sync","result":{"synced":0,"errors":0,"cleaned":0},"held":{"rooms":11,"participants":30,"cycles":2},"timestamp":"T"}`},
	} {
		t.Run(c.body, func(t *testing.T) {
			r := newRig(t, &node{report: c.report}, nil)
			w := r.ask("POST", "/api/sync-rooms", c.body)
			if w.Code != 200 || strings.TrimSpace(undated(w.Body.String())) != c.answer {
				t.Errorf("%d\n got %s\nwant %s", w.Code, w.Body, c.answer)
			}
			if !slices.Equal(r.node.asked, []string{c.asked}) {
				t.Errorf("asked for %q, want %q", r.node.asked, c.asked)
			}
		})
	}
}

func TestActionsRefused(t *testing.T) {
	const shape = `{"error":"The body must be a JSON object such as {\"action\":\"sync\"}"}`
	const types = `{"error":"\"dryRun\" and \"force\" must be true or false"}`
	const unknown = `{"error":"Invalid action. Use: sync, cleanup, full-sync, start-service, or stop-service"}`
	const name, elsewhere = `{"error":"\"room\" must be the name of a room"}`, `{"error":"\"room\" goes with sync only"}`
	field := func(name string) string {
		return `{"error":"Unknown field \"` + name + `\". Use: action, dryRun, force, room"}`
	}
	const switches = `{"error":"\"dryRun\" and \"force\" go with sync, cleanup and full-sync only"}`
	for body, c := range map[string]struct {
		status int
		answer string
	}{
		``: {400, shape}, `{`: {400, shape}, `[]`: {400, shape}, `"sync"`: {400, shape}, `{"action":"sync"} x`: {400, shape},
		`null`: {400, unknown}, `{}`: {400, unknown}, `{"action":"Sync"}`: {400, unknown}, `{"action":"drop"}`: {400, unknown},
		`{"action":5}`: {400, unknown}, `{"action":"sync","dryRun":"yes"}`: {400, types}, `{"action":"sync","force":1}`: {400, types},
		`{"action":"stop-service","dryRun":true}`: {400, switches}, `{"action":"start-service","force":true}`: {400, switches},
		`{"action":"sync","dryrun":true}`: {400, field("dryrun")}, `{"action":"full-sync","DryRun":true}`: {400, field("DryRun")},
		`{"action":"cleanup","dry":true}`: {400, field("dry")}, `{"action":"stop-service","after":5}`: {400, field("after")},
		`{"action":"sync","rooms":["a"]}`: {400, field("rooms")}, `{"ACTION":"sync"}`: {400, field("ACTION")},
		`{"action":"sync","` + strings.Repeat("x", 99) + `":1}`: {400, field(strings.Repeat("x", 40))},
		`{"action":"sync","dryRun":null}`:                       {400, types}, `{"action":"sync","dryRun":true,"force":null}`: {400, types},
		`{"action":"sync","room":""}`: {400, name}, `{"action":"sync","room":null}`: {400, name}, `{"action":"sync","room":["a"]}`: {400, name},
		`{"action":"cleanup","room":"a"}`: {400, elsewhere}, `{"action":"full-sync","room":"a"}`: {400, elsewhere},
		`{"action":"stop-service","room":"a"}`: {400, elsewhere}, `{"action":"dance","room":"a"}`: {400, unknown},
		`{"action":"sync","x":"` + strings.Repeat("x", maxActionBytes) + `"}`: {413, `{"error":"The body is too large"}`},
	} {
		r := newRig(t, &node{}, nil)
		want(t, r.ask("POST", "/api/sync-rooms", body), c.status, c.answer)
		if len(r.node.asked) != 0 {
			t.Errorf("%.40s was done", body)
		}
	}
}

func TestActionsFail(t *testing.T) {
	for err, status := range map[error]int{
		ErrNoLeader: 503, ErrBusy: 503, ErrUnavailable: 503, context.DeadlineExceeded: 503, errSecret: 500,
	} {
		for _, action := range []string{"sync", "cleanup", "full-sync", "start-service", "stop-service"} {
			r := newRig(t, &node{actErr: fmt.Errorf("asked the leader: %w", err)}, nil)
			w := r.ask("POST", "/api/sync-rooms", `{"action":"`+action+`"}`)
			if w.Code != status || strings.Contains(w.Body.String(), "hunter2") || status == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s, %v: %d %s", action, err, w.Code, w.Body)
			}
		}
		r := newRig(t, &node{statusErr: err}, nil)
		if w := r.ask("GET", "/api/sync-rooms", ""); w.Code != status {
			t.Errorf("status, %v: %d", err, w.Code)
		}
	}
	r := newRig(t, &node{acting: func(context.Context) { panic("a bug") }}, nil)
	want(t, r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`), 500, `{"error":"Internal error; the log of this node says more"}`)
	if !strings.Contains(r.logs.String(), "syncrooms_test.go") {
		t.Error("no stack in the log")
	}
}

func TestStatus(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 5_000_000, time.FixedZone("", 3600))
	report := &reconcile.Report{StartedAt: at, DurationMs: 1500, Scheduled: true, Synced: 3, Errors: 1, Cleaned: 2, Changed: 4,
		LastGood: at.Add(-time.Minute), Drift: map[reconcile.Reason]int{reconcile.MissedJoin: 7}, Deferred: 5, Held: &reconcile.Held{Rooms: 1, Participants: 2, Cycles: 3}}
	full := Status{Running: true, Node: "n1", Leader: "n2", Term: 9, SyncInterval: 30 * time.Second, CleanupInterval: 5 * time.Minute,
		NextSync: at, NextCleanup: at.Add(time.Minute), LastSync: report, LastCleanup: &reconcile.Report{StartedAt: at}}
	const none = `"result":{"synced":0,"errors":0,"cleaned":0},"changed":0,"drift":{},"deferred":0,"held":{"rooms":0,"participants":0,"cycles":0}`
	for want, status := range map[string]Status{
		`{"syncServiceRunning":true,"timestamp":"T","node":"n1","leader":"n2","term":9,"syncInterval":30000,"cleanupInterval":300000,` +
			`"nextSync":"2026-11-23T11:00:00.005Z","nextCleanup":"2026-11-23T11:01:00.005Z",` +
			`"lastSync":{"startedAt":"2026-11-23T11:00:00.005Z","durationMs":1500,"scheduled":true,"result":{"synced":3,"errors":1,"cleaned":2},` +
			`"changed":4,"drift":{"missed join":7},"deferred":5,"held":{"rooms":1,"participants":2,"cycles":3}},` +
			`"lastCleanup":{"startedAt":"2026-11-23T11:00:00.005Z","durationMs":0,"scheduled":false,` + none + `},"lastGoodSync":"2026-11-23T10:59:00.005Z","redis":{"state":"ok"},"livekit":{"state":"ok","at":"2026-11-23T11:00:00.005Z"},"mayAct":true}`: full,
		`{"syncServiceRunning":false,"timestamp":"T","node":"n1","term":0,"syncInterval":0,"cleanupInterval":0,"redis":{"state":"ok"},"livekit":{"state":"unknown"},"mayAct":true}`: {Node: "n1"},
	} {
		w := newRig(t, &node{status: status}, nil).ask("GET", "/api/sync-rooms", "")
		if got := strings.TrimSpace(undated(w.Body.String())); w.Code != 200 || got != want {
			t.Errorf("%d\n got %s\nwant %s", w.Code, got, want)
		}
	}
}

// TestDependencies checks how the status says that LiveKit or Redis does not answer.
func TestDependencies(t *testing.T) {
	at := time.Date(2026, 11, 23, 11, 0, 0, 5_000_000, time.UTC)
	const asked = `,"error":"why","at":"2026-11-23T11:00:00.005Z","since":"2026-11-23T10:59:00.005Z"}`
	for fault, want := range map[reconcile.Fault]string{
		reconcile.LiveKitSilent: `{"state":"silent"` + asked, reconcile.LiveKitRefuses: `{"state":"refuses"` + asked,
		reconcile.LiveKitLimited: `{"state":"limited"` + asked, reconcile.RedisSilent: `{"state":"unknown"}`,
	} {
		n := &node{status: Status{LastSync: &reconcile.Report{StartedAt: at, Errors: 1, Error: "why", Fault: fault, FaultSince: at.Add(-time.Minute), RedisEmpty: true}},
			redis: Dependency{State: Silent, Error: "connection refused"}}
		body := newRig(t, n, nil).ask("GET", "/api/sync-rooms", "").Body.String()
		for _, part := range []string{`"firstError":"why","fault":"` + string(fault) + `","redisEmpty":true`, `"redis":{"state":"silent","error":"connection refused"}`, `"livekit":` + want} {
			if !strings.Contains(body, part) {
				t.Errorf("%s: there is no %s in %s", fault, part, body)
			}
		}
	}
}

// TestLongActions checks that nothing interrupts an action that takes minutes, and that a caller who disconnects ends only
// the waiting.
func TestLongActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		n := &node{acting: func(ctx context.Context) {
			select {
			case <-time.After(10 * time.Minute):
			case <-ctx.Done():
			}
			ended <- ctx.Err()
		}}
		r := newRig(t, n, func(c *Config) { c.Limits.Actions = 2 })
		waited := make(chan int, 1)
		go func() { waited <- r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`).Code }()
		impatient, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, func(r *http.Request) { *r = *r.WithContext(impatient) })
		if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d", w.Code)
		}
		if code := <-waited; code != 200 {
			t.Errorf("after ten minutes: %d", code)
		}
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Errorf("an action was cut: %v", err)
		}
		if r.metric(t, "rollcall_http_requests_total", "499") != 1 {
			t.Error("the one who left is not counted")
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestActionsEndWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan error, 1)
		n := &node{acting: func(ctx context.Context) { <-ctx.Done(); cut <- ctx.Err() }}
		r := newRig(t, n, nil)
		answer := make(chan int, 1)
		go func() { answer <- r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`).Code }()
		synctest.Wait()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-cut; !errors.Is(err, context.Canceled) {
			t.Errorf("the action ended with %v", err)
		}
		if code := <-answer; code != 503 {
			t.Errorf("the waiting got %d", code)
		}
		if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`); w.Code != 503 {
			t.Errorf("afterwards: %d", w.Code)
		}
	})
}

func TestAnswersAreJSON(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for _, path := range []string{"/livez", "/readyz", "/version", "/api/sync-rooms", "/api/check-match", "/api/rooms", "/nowhere"} {
		w := r.ask("GET", path, "")
		if !json.Valid(w.Body.Bytes()) || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s %s", path, w.Header().Get("Content-Type"), w.Body)
		}
	}
}
