package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
	"github.com/rollcallhq/rollcall/testing/redistest"
)

const (
	// patience is for what takes a second or two on an idle machine; the tests' machine is never idle.
	patience = 30 * time.Second
	// memory is the limit of the node's address space, in KiB, as ulimit -v takes it.
	memory = 2_000_000

	adminToken = "admin-token-that-must-not-leak-0123456789"
	webhookURL = "/api/livekit-webhook"
)

// options choose a world. The zero value is a node with a real Redis, a LiveKit that has no rooms, and an admin token.
type options struct {
	flags, env   []string
	files        int          // limit of open files; 0 leaves the system's
	noAdmin      bool         // no admin token: local programs need none
	embedded     bool         // no Redis but the node's own
	livekit      http.Handler // in the place of the fake
	https        bool         // the API has a certificate
	withoutReady bool         // it waits for others
}

// world is a node under a memory limit, and what it needs.
type world struct {
	*nodetest.Node
	t       *testing.T
	redis   *redistest.Server // nil where the node has its own
	fake    *fakelivekit.Fake
	authKey string // the admin token, or empty
	scheme  string
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, fake: fakelivekit.New(fakelivekit.Options{Seed: 1, EmptyTimeout: 1 << 20, DepartureTimeout: 1 << 20}), scheme: "http"}
	t.Cleanup(w.fake.Close)
	if o.livekit == nil {
		o.livekit = w.fake
	}
	api := httptest.NewServer(o.livekit)
	t.Cleanup(api.Close)
	env := append(fakelivekit.Env(api.URL), o.env...)
	if !o.noAdmin {
		w.authKey = adminToken
		env = append(env, "ROLLCALL_ADMIN_TOKEN="+adminToken)
	}
	if !o.embedded {
		w.redis = redistest.Start(t, "--appendonly", "no")
		env = append(env, "REDIS_URL="+w.redis.URL())
	}
	flags := append([]string{"--sync-interval=1h", "--stale-after=24h", "--cleanup-interval=23h", "--log-level=info"}, o.flags...)
	if o.https {
		cert, key := certificate(t)
		flags, w.scheme = append(flags, "--http-tls-cert="+cert, "--http-tls-key="+key), "https"
	}
	w.Node = nodetest.New(t, nodetest.Options{Binary: limited(t, o.files), ID: "n1", Flags: flags, Env: env})
	w.Start()
	if !o.withoutReady {
		w.ready()
	}
	t.Cleanup(func() {
		if w.Runs() {
			w.CheckLog()
		}
	})
	return w
}

// limited is the path of a script that runs rollcall under the limits of memory and of open files.
func limited(t *testing.T, files int) string {
	t.Helper()
	script := fmt.Sprintf("#!/bin/bash\nulimit -v %d\n", memory)
	if files > 0 {
		script += fmt.Sprintf("ulimit -n %d\n", files)
	}
	path := filepath.Join(t.TempDir(), "limited")
	if err := os.WriteFile(path, []byte(script+"exec "+os.Getenv(nodetest.BinEnv)+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// ready waits until the node is, and for the sync that every start begins with, so that nothing but the test's doing changes Redis.
func (w *world) ready() {
	w.t.Helper()
	await(w.t, "the node is ready", func() error { return w.get("/readyz", "").is(200) })
	await(w.t, "the first sync", func() error {
		if a := w.get("/api/sync-rooms", w.authKey); !strings.Contains(a.body, `"lastSync"`) {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// await tries until it works.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
	}
}

// pass lets an attack go on for a time.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// answer is an HTTP answer. Its status is 0 where there was none, and then err says why.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (a answer) is(statuses ...int) error {
	for _, status := range statuses {
		if a.status == status {
			return nil
		}
	}
	return fmt.Errorf("%d %.200q (%w), want %v", a.status, a.body, a.err, statuses)
}

// ask sends one request on a connection of its own. Header names are sent as they are given.
func (w *world) ask(method, path, token, body string, header http.Header) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.scheme+"://"+w.Addr+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(req)
}

func do(req *http.Request) answer {
	client := &http.Client{Transport: fresh(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	return answer{resp.StatusCode, resp.Header, string(raw), err}
}

func (w *world) get(path, token string) answer { return w.ask(http.MethodGet, path, token, "", nil) }

// act has the admin's word.
func (w *world) act(action string) answer {
	return w.ask(http.MethodPost, "/api/sync-rooms", w.authKey, `{"action":"`+action+`"}`, nil)
}

// token is a LiveKit access token with that grant.
func token(t *testing.T, grant auth.VideoGrant) string {
	t.Helper()
	raw, err := auth.NewAccessToken(fakelivekit.DefaultKey, fakelivekit.DefaultSecret).SetVideoGrant(&grant).SetIdentity("mallory").
		SetValidFor(time.Hour).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func moderator(t *testing.T, room string) string {
	return token(t, auth.VideoGrant{RoomAdmin: true, Room: room})
}

func reader(t *testing.T) string { return token(t, auth.VideoGrant{RoomList: true}) }
