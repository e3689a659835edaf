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

// undated replaces the answer's time, if it is written as it should be.
func undated(body string) string { return stamps.ReplaceAllString(body, `"timestamp":"T"`) }

func TestActions(t *testing.T) {
	const counts = `{"synced":5,"errors":1,"cleaned":2}`
	const change = `{"room":"r","change":"participant_left","identity":"u","sid":"PA_1","reason":"missed leave"}`
	dry := Outcome{Result: Result{5, 1, 2}, WouldChange: []WouldChange{{"r", reconcile.ParticipantLeft, "u", "PA_1", reconcile.MissedLeave}}}
	for _, c := range []struct {
		body    string
		outcome Outcome
		asked   string
		answer  string
	}{
		{`{"action":"sync"}`, Outcome{Result: Result{5, 1, 2}}, "sync {DryRun:false Force:false}",
			`{"action":"sync","result":` + counts + `,"timestamp":"T"}`},
		{`{"action":"cleanup"}`, Outcome{Result: Result{Cleaned: 2}}, "cleanup {DryRun:false Force:false}",
			`{"action":"cleanup","cleaned":2,"timestamp":"T"}`},
		{`{"action":"cleanup"}`, Outcome{}, "cleanup {DryRun:false Force:false}", `{"action":"cleanup","cleaned":0,"timestamp":"T"}`},
		{`{"action":"full-sync"}`, Outcome{Result: Result{5, 1, 2}}, "full-sync {DryRun:false Force:false}",
			`{"action":"full-sync","sync":` + counts + `,"cleanup":2,"timestamp":"T"}`},
		{`{"action":"start-service"}`, Outcome{}, "service true", `{"action":"start-service","running":true,"timestamp":"T"}`},
		{`{"action":"stop-service","dryRun":false}`, Outcome{}, "service false", `{"action":"stop-service","running":false,"timestamp":"T"}`},
		{`{"action":"sync","force":true,"new":1}`, Outcome{Result: Result{5, 1, 2}}, "sync {DryRun:false Force:true}",
			`{"action":"sync","result":` + counts + `,"timestamp":"T"}`},
		{`{"action":"sync","dryRun":true}`, dry, "sync {DryRun:true Force:false}",
			`{"action":"sync","result":` + counts + `,"wouldChange":[` + change + `],"timestamp":"T"}`},
		{`{"action":"full-sync","dryRun":true}`, dry, "full-sync {DryRun:true Force:false}",
			`{"action":"full-sync","sync":` + counts + `,"cleanup":2,"wouldChange":[` + change + `,` + change + `],"timestamp":"T"}`},
		{`{"action":"cleanup","dryRun":true}`, Outcome{}, "cleanup {DryRun:true Force:false}",
			`{"action":"cleanup","cleaned":0,"wouldChange":[],"timestamp":"T"}`},
		{`{"action":"sync"}`, Outcome{Held: Held{11, 30, 2}}, "sync {DryRun:false Force:false}",
			`{"action":"sync","result":{"synced":0,"errors":0,"cleaned":0},"held":{"rooms":11,"participants":30,"cycles":2},"timestamp":"T"}`},
	} {
		t.Run(c.body, func(t *testing.T) {
			r := newRig(t, &node{outcome: c.outcome}, nil)
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
	const switches = `{"error":"\"dryRun\" and \"force\" go with sync, cleanup and full-sync only"}`
	for body, c := range map[string]struct {
		status int
		answer string
	}{
		``: {400, shape}, `{`: {400, shape}, `[]`: {400, shape}, `"sync"`: {400, shape}, `{"action":"sync"} x`: {400, shape},
		`null`: {400, unknown}, `{}`: {400, unknown}, `{"action":"Sync"}`: {400, unknown}, `{"action":"drop"}`: {400, unknown},
		`{"action":5}`: {400, unknown}, `{"action":"sync","dryRun":"yes"}`: {400, types}, `{"action":"sync","force":1}`: {400, types},
		`{"action":"stop-service","dryRun":true}`: {400, switches}, `{"action":"start-service","force":true}`: {400, switches},
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
	report := &Report{StartedAt: at, Duration: 1500 * time.Millisecond, Scheduled: true, Result: Result{3, 1, 2}, Changed: 4,
		Drift: map[reconcile.Reason]int{reconcile.MissedJoin: 7}, Deferred: 5, Held: Held{1, 2, 3}}
	full := Status{Running: true, Node: "n1", Leader: "n2", Term: 9, SyncInterval: 30 * time.Second, CleanupInterval: 5 * time.Minute,
		NextSync: at, NextCleanup: at.Add(time.Minute), LastSync: report, LastCleanup: &Report{StartedAt: at}}
	const none = `"result":{"synced":0,"errors":0,"cleaned":0},"changed":0,"drift":{},"deferred":0,"held":{"rooms":0,"participants":0,"cycles":0}`
	for want, status := range map[string]Status{
		`{"syncServiceRunning":true,"timestamp":"T","node":"n1","leader":"n2","term":9,"syncInterval":30000,"cleanupInterval":300000,` +
			`"nextSync":"2026-11-23T11:00:00.005Z","nextCleanup":"2026-11-23T11:01:00.005Z",` +
			`"lastSync":{"startedAt":"2026-11-23T11:00:00.005Z","durationMs":1500,"scheduled":true,"result":{"synced":3,"errors":1,"cleaned":2},` +
			`"changed":4,"drift":{"missed join":7},"deferred":5,"held":{"rooms":1,"participants":2,"cycles":3}},` +
			`"lastCleanup":{"startedAt":"2026-11-23T11:00:00.005Z","durationMs":0,"scheduled":false,` + none + `}}`: full,
		`{"syncServiceRunning":false,"timestamp":"T","node":"n1","term":0,"syncInterval":0,"cleanupInterval":0}`: {Node: "n1"},
	} {
		w := newRig(t, &node{status: status}, nil).ask("GET", "/api/sync-rooms", "")
		if got := strings.TrimSpace(undated(w.Body.String())); w.Code != 200 || got != want {
			t.Errorf("%d\n got %s\nwant %s", w.Code, got, want)
		}
	}
}

// TestLongActions: nothing cuts an action that takes minutes, and who goes away ends only the waiting.
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
