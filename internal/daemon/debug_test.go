package daemon

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
)

// TestDebugPort checks that --debug-addr serves profiles and counters and nothing else, that the public port has none of it, that no command
// line with its secrets shows, and that the port ends with the node.
func TestDebugPort(t *testing.T) {
	debug := freeaddr.ForTest(t, 1)[0]
	w := newWorld(t, "--debug-addr="+debug)
	get := func(addr, path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, part := range map[string]string{"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile", "/debug/pprof/heap?debug=1": "heap profile",
		"/debug/pprof/profile?seconds=1": "", "/debug/pprof/trace?seconds=0.1": "", "/debug/pprof/symbol": "num_symbols", "/debug/vars": "memstats"} {
		if status, body := get(debug, path); status != http.StatusOK || !strings.Contains(body, part) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	var vars map[string]any
	if _, body := get(debug, "/debug/vars"); json.Unmarshal([]byte(body), &vars) != nil || vars["memstats"] == nil || vars["cmdline"] != nil {
		t.Errorf("/debug/vars: %.200s", body)
	}
	for _, path := range []string{"/", "/debug/", "/debug/pprof/cmdline", "/livez", "/metrics", "/api/rooms"} {
		if status, body := get(debug, path); status != http.StatusNotFound {
			t.Errorf("%s on the port for debugging: %d %.200s", path, status, body)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/vars"} {
		if status, _ := get(w.daemon.Addr().String(), path); status != http.StatusNotFound {
			t.Errorf("%s on the public port: %d", path, status)
		}
	}
	c := w.config
	c.NodeID, c.DataDir, c.HTTPAddr = "n2", t.TempDir(), "127.0.0.1:0"
	if _, err := Start(t.Context(), c, httpapi.Build{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--debug-addr, ROLLCALL_DEBUG_ADDR") {
		t.Errorf("a second node on the port: %v", err)
	}
	w.stop()
	if resp, err := http.Get("http://" + debug + "/debug/vars"); err == nil {
		resp.Body.Close()
		t.Error("the port is still served after the stop")
	}
	w.start() // for the end of the test
}
