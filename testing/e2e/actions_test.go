package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

const syncPath = "/api/sync-rooms"

// act posts an action and returns the fields of the answer.
func (w *world) act(body string, status int) map[string]any {
	w.t.Helper()
	a := w.request(http.MethodPost, syncPath, []byte(body), http.Header{"Content-Type": {"application/json"}})
	if a.status != status {
		w.t.Errorf("%s: %d %s, want %d", body, a.status, a.body, status)
	}
	return w.fields(a)
}

func (w *world) fields(a answer) map[string]any {
	w.t.Helper()
	var f map[string]any
	if err := json.Unmarshal(a.body, &f); err != nil {
		w.t.Fatalf("an answer that is no JSON object: %q: %v", a.body, err)
	}
	return f
}

// wants checks that a field, found by its path, has the type of the example; numbers and booleans must have the same value.
func wants(t *testing.T, f map[string]any, want any, path ...string) {
	t.Helper()
	var at any = f
	for _, name := range path {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	if at != want {
		t.Errorf("%q is %v, want %v, in %v", path, at, want, f)
	}
}

// stamped checks for an ISO 8601 timestamp of about now.
func stamped(t *testing.T, f map[string]any) {
	t.Helper()
	text, _ := f["timestamp"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the timestamp %q: %v", text, err)
	}
}

// TestActions checks the documented behaviour of POST /api/sync-rooms.
func TestActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.create(t, "r1")
	w.create(t, "r2")
	w.join(t, "r1", who{Identity: "alice"})
	w.converges()
	w.rename(t, "r1", "alice", "no webhook tells")
	w.relabel(t, "r2", "nor of this")

	w.dryRuns()
	f := w.act(`{"action":"sync"}`, http.StatusOK)
	wants(t, f, "sync", "action")
	wants(t, f, 2.0, "result", "synced")
	wants(t, f, 0.0, "result", "errors")
	wants(t, f, 0.0, "result", "cleaned")
	stamped(t, f)
	w.converged()

	f = w.act(`{"action":"cleanup"}`, http.StatusOK)
	wants(t, f, "cleanup", "action")
	wants(t, f, 0.0, "cleaned")
	stamped(t, f)

	f = w.act(`{"action":"full-sync"}`, http.StatusOK)
	wants(t, f, "full-sync", "action")
	wants(t, f, 2.0, "sync", "synced")
	wants(t, f, 0.0, "cleanup")
	stamped(t, f)
	w.actionErrors()
	w.serviceSwitch()
}

// TestSyncOfOneRoom checks that a sync of one room repairs that room alone, and that a misspelt field runs nothing.
func TestSyncOfOneRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, room := range []string{"r1", "r2"} {
		w.create(t, room)
		w.join(t, room, who{Identity: "alice"})
	}
	w.converges()
	for _, room := range []string{"r1", "r2"} {
		w.relabel(t, room, "no webhook tells")
	}
	before, synced := w.dumps(ourPublic), w.lastSync()
	wants(t, w.act(`{"action":"sync","room":"r1","dryrun":true}`, http.StatusBadRequest), `Unknown field "dryrun". Use: action, dryRun, force, room`, "error")
	if would, _ := w.act(`{"action":"sync","room":"r1","dryRun":true}`, http.StatusOK)["wouldChange"].([]any); len(would) != 1 {
		t.Errorf("a dry run would change %v, want one change", would)
	}
	w.unchanged(before, "a dry run or a refused action")

	f := w.act(`{"action":"sync","room":"r1"}`, http.StatusOK)
	wants(t, f, "sync", "action")
	wants(t, f, "r1", "room")
	wants(t, f, 1.0, "result", "synced")
	wants(t, f, 0.0, "result", "errors")
	stamped(t, f)
	if one, other := w.agree(true, "r1"), w.agree(true, "r2"); one != nil || other == nil {
		t.Errorf("after a sync of r1 it has %v, and r2 has %v", one, other)
	}
	if out, problems, code := w.command([]string{"ROLLCALL_ADDR=" + w.URL()}, "sync", "r2"); code != 0 || !strings.Contains(out, "1 room compared") {
		t.Errorf("rollcall sync r2: %d %s %s", code, out, problems)
	}
	w.converged()
	if w.lastSync() != synced {
		t.Error("a sync of one room left a report")
	}
}

// dryRuns checks that dry runs list what a sync would do, and change nothing that readers or later reports see.
func (w *world) dryRuns() {
	t := w.t
	t.Helper()
	before, synced := w.dumps(ourPublic), w.lastSync()
	for _, action := range []string{"sync", "full-sync", "cleanup"} {
		f := w.act(`{"action":"`+action+`","dryRun":true}`, http.StatusOK)
		would, _ := f["wouldChange"].([]any)
		if want := map[string]int{"sync": 2, "full-sync": 2}[action]; len(would) != want || f["wouldChange"] == nil {
			t.Errorf("a dry %s would change %v, want %d changes", action, f["wouldChange"], want)
		}
	}
	w.unchanged(before, "a dry run")
	if w.lastSync() != synced {
		t.Error("a dry run left a report")
	}
}

func (w *world) actionErrors() {
	t := w.t
	t.Helper()
	const invalid = "Invalid action. Use: sync, cleanup, full-sync, start-service, or stop-service"
	for _, body := range []string{`{"action":"dance"}`, `{"action":""}`, `{}`, `{"action":"Sync"}`} {
		wants(t, w.act(body, http.StatusBadRequest), invalid, "error")
	}
	for _, body := range []string{``, `{`, `[]`, `"sync"`, `{"action":7}`, `{"action":"sync","dryRun":"yes"}`} {
		if f := w.act(body, http.StatusBadRequest); f["error"] == nil {
			t.Errorf("%q: no error in %v", body, f)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if a := w.request(method, syncPath, nil, nil); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, a.status)
		}
	}
}

// serviceSwitch checks that the switch and the last reports outlive the process, and that a stopped service runs no first sync.
func (w *world) serviceSwitch() {
	t := w.t
	t.Helper()
	f := w.act(`{"action":"stop-service"}`, http.StatusOK)
	wants(t, f, "stop-service", "action")
	wants(t, f, false, "running")
	stamped(t, f)
	before := w.status()
	if before.SyncServiceRunning || before.NextSync != nil || before.LastSync == nil || before.LastCleanup == nil {
		t.Errorf("stopped: %+v", before)
	}
	w.Kill()
	w.join(t, "r2", who{Identity: "unseen"})
	w.Up()
	after := w.status()
	if after.SyncServiceRunning || after.LastSync == nil || after.LastCleanup == nil ||
		!after.LastSync.StartedAt.Equal(before.LastSync.StartedAt) || !after.LastCleanup.StartedAt.Equal(before.LastCleanup.StartedAt) {
		t.Errorf("after a restart: %+v, want what was: %+v", after, before)
	}
	if _, err := w.client.Sync(w.ctx(), client.ActionOptions{}); err != nil {
		t.Errorf("a manual sync while stopped: %v", err)
	}
	w.converged()
	mark := time.Now()
	wants(t, w.act(`{"action":"start-service"}`, http.StatusOK), true, "running")
	w.cycleAfter(mark) // the schedule starts at once
}

func (w *world) status() client.Status {
	w.t.Helper()
	s, err := w.client.Status(w.ctx())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestStatusShape checks the answer of GET /api/sync-rooms.
func TestStatusShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{every: "30s"})
	w.watch.pause()
	w.create(t, "r") // some metrics appear only once they have counted something
	w.converges()
	w.redis.Client().Set(w.ctx(), oracle.ParticipantsKey+"r", "[]]", 0)
	w.sync(client.ActionOptions{})
	f := w.fields(w.request(http.MethodGet, syncPath, nil, nil))
	wants(t, f, true, "syncServiceRunning")
	wants(t, f, "n1", "node")
	wants(t, f, "n1", "leader")
	wants(t, f, 30_000.0, "syncInterval")
	wants(t, f, false, "lastSync", "scheduled")
	stamped(t, f)
	for _, name := range []string{"term", "cleanupInterval", "nextSync", "nextCleanup", "lastSync"} {
		if f[name] == nil {
			t.Errorf("no %q in %v", name, f)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/version", "/metrics"} {
		if a := w.request(http.MethodGet, path, nil, nil); a.status != http.StatusOK || len(a.body) == 0 {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
	if v := w.fields(w.request(http.MethodGet, "/version", nil, nil)); v["version"] == "" {
		t.Errorf("the version: %v", v)
	}
	metrics := string(w.request(http.MethodGet, "/metrics", nil, nil).body)
	for _, name := range []string{"rollcall_webhooks_total", "rollcall_commits_total", "rollcall_cycles_total", "rollcall_drift_total", "go_goroutines"} {
		if !slices.Contains(words(metrics), name) {
			t.Errorf("no metric %q", name)
		}
	}
	if a := w.request(http.MethodGet, "/nothing", nil, nil); a.status != http.StatusNotFound {
		t.Errorf("an unknown path: %d", a.status)
	}
}
