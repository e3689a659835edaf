package browser

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

//go:embed module.js original
var scripts embed.FS

// stage is a real node behind an origin of its own, which also has what a script needs to play its part: people who join, and cut connections.
type stage struct {
	*place
	url     string
	mu      sync.Mutex
	streams map[*stream]bool // open streams of events
}

type stream struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{place: newPlace(t), streams: map[*stream]bool{}}
	node, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	// The node sees the caller's own Host and no X-Forwarded-For: a local caller, who needs no token.
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(node); r.Out.Host = r.In.Host }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stage/join", func(_ http.ResponseWriter, r *http.Request) { s.enters(r) })
	mux.HandleFunc("POST /stage/unheard/join", func(_ http.ResponseWriter, r *http.Request) { s.unheard(func() { s.enters(r) }) })
	mux.HandleFunc("POST /stage/cut/join", func(_ http.ResponseWriter, r *http.Request) { s.cut(); s.enters(r) })
	mux.HandleFunc("GET /stage/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><title>stage</title><link rel="icon" href="data:,"><script type="importmap">{"imports":{"@/utils/redis/syncService":"/rollcall-client.js"}}</script>`)
	})
	mux.Handle("GET /stage/", http.StripPrefix("/stage", http.FileServerFS(scripts)))
	mux.HandleFunc("/api/events", func(w http.ResponseWriter, r *http.Request) {
		ctx, end := s.stream(r.Context())
		defer end()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	})
	mux.Handle("/", proxy)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(s.cut)
	s.url = server.URL
	return s
}

func (s *stage) enters(r *http.Request) { s.join(r.FormValue("room"), r.FormValue("who")) }

func (s *stage) stream(ctx context.Context) (context.Context, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	one := &stream{cancel, make(chan struct{})}
	s.streams[one] = true
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.streams, one)
		close(one.ended)
	}
}

// cut breaks all streams of events. It returns when none of them passes anything on any more.
func (s *stage) cut() {
	s.mu.Lock()
	cut := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	for _, one := range cut {
		one.cancel()
		<-one.ended
	}
}

// open opens an empty page of the stage.
func (s *stage) open() *browsertest.Tab {
	return open(s.t, s.url+"/stage/", 1280, "status of 400", "status of 401", "status of 404", "ERR_INCOMPLETE_CHUNKED_ENCODING")
}

// nodeJS runs a script as runNode does, with the stage as the node.
func (s *stage) nodeJS(script string) string {
	s.t.Helper()
	return runNode(s.t, script, s.url, "ROLLCALL_ADDR="+strings.TrimPrefix(s.url, "http://"))
}

// runNode runs a script in Node.js, beside rollcall-client.mjs, the modules under their own names, the scripts of this package, and the
// original's module path, and returns what it prints. It needs Node.js 20 or newer.
func runNode(t *testing.T, script, argument string, env ...string) string {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js is missing: run make deps")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, scripts); err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{}
	for _, name := range []string{"rollcall-client.js", "sync-status-indicator.js"} {
		text, err := os.ReadFile("../../internal/httpapi/web/static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = string(text)
	}
	for name, text := range map[string]string{
		"package.json": `{"type":"module"}`, "rollcall-client.mjs": modules["rollcall-client.js"], "main.js": script,
		"rollcall-client.js": modules["rollcall-client.js"], "sync-status-indicator.js": modules["sync-status-indicator.js"],
		"node_modules/@/utils/package.json":   `{"type":"module","exports":{"./redis/syncService":"./syncService.js"}}`,
		"node_modules/@/utils/syncService.js": `export * from "../../../rollcall-client.mjs";`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program, filepath.Join(dir, "main.js"), argument)
	run.Env = env
	out, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("node: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestModuleWithoutNode runs the modules where nothing says where the node is, and where there are no elements: as on a server that renders pages.
func TestModuleWithoutNode(t *testing.T) {
	t.Parallel()
	const want = "isSyncServiceRunning() returns false: Say where the node is: pass an endpoint, or set ROLLCALL_ADDR\nfalse false\nRollcallError: Say where the node is"
	got := runNode(t, `import { isSyncServiceRunning, rooms } from "./rollcall-client.js";
		import { SyncStatusIndicator } from "./sync-status-indicator.js";
		console.log(isSyncServiceRunning(), isSyncServiceRunning());
		try { await rooms(); } catch (error) { console.log(String(error)); }
		if (typeof SyncStatusIndicator !== "function") console.log("no class");`, "")
	if !strings.HasPrefix(got, want) || strings.Contains(got, "no class") {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// TestBundledModuleWithoutEndpoint runs a copy in which a bundler has left no address, on a server and as in a browser.
func TestBundledModuleWithoutEndpoint(t *testing.T) {
	t.Parallel()
	const want = "Say where the node is: pass an endpoint, or set ROLLCALL_ADDR\nSay where the node is: pass an endpoint"
	got := runNode(t, `import { readFileSync, writeFileSync } from "node:fs";
		writeFileSync(new URL("bundled.js", import.meta.url), readFileSync(new URL("rollcall-client.js", import.meta.url), "utf8").replaceAll("import.meta.url", '""'));
		const { rooms } = await import("./bundled.js");
		await rooms().catch((error) => console.log(error.message));
		globalThis.location = new URL("http://localhost:3000/");
		await rooms().catch((error) => console.log(error.message));`, "")
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// TestOriginal runs the usage snippets of the system that rollcall replaces, unchanged but for where the import path leads.
func TestOriginal(t *testing.T) {
	t.Parallel()
	const want = "Synced 2 rooms, cleaned 0\n(unknown)\nSync service is running\n(it runs)\n(it does not run)\nSync service is running\n(it runs)"
	for name, run := range map[string]func(*stage) string{
		"browser": func(s *stage) string {
			return browsertest.Eval[string](s.open(), `Promise.all([import("/rollcall-client.js"), import("/stage/original/all.js")])
				.then(([module, all]) => { let n = 0; return all.runAll(module, (name) => import("/stage/original/" + name + "?" + n++)); })`)
		},
		"node": func(s *stage) string {
			return s.nodeJS(`import * as module from "./rollcall-client.mjs";
				import { runAll } from "./original/all.js";
				let n = 0;
				console.log(await runAll(module, (name) => import("./original/" + name + "?" + n++)));`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.join("r", "ada")
			s.join("s", "ada")
			if got := run(s); got != want {
				t.Errorf("printed\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestModule checks the module's functions in a browser and in Node.js.
func TestModule(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*stage) string{
		"browser": func(s *stage) string {
			return browsertest.Eval[string](s.open(), `Promise.all([import("/rollcall-client.js"), import("/rollcall-client.js?copy"), import("/stage/module.js")])
				.then(([module, copy, check]) => check.checkModule(module, copy, location.origin))`)
		},
		"node": func(s *stage) string {
			return s.nodeJS(`import * as module from "./rollcall-client.mjs";
				import * as copy from "./rollcall-client.mjs?copy";
				import { checkModule } from "./module.js";
				console.log(await checkModule(module, copy, process.argv[2]));`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.join("standup", "ada")
			s.livekit.Join("a/b ?#", fakelivekit.Who{Identity: "agent", Kind: livekit.ParticipantInfo_AGENT})
			s.join("a/b ?#", "alan")
			if wrong := run(s); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}
