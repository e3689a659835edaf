package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

const (
	// patience limits waits that take a second or two on an idle machine. The machine that runs tests is never idle.
	patience = time.Minute
	// memory is the limit of the node's address space, in KiB, the unit of ulimit -v.
	memory = 2_000_000

	adminToken = "admin-token-that-must-not-leak-0123456789"
	webhookURL = "/api/livekit-webhook"
)

// options configure a world. The zero value is a node with a real Redis, a LiveKit without rooms, and an admin token.
type options struct {
	flags, env   []string
	files        int          // limit of open files; 0 leaves the system's
	noAdmin      bool         // no admin token, so local programs need none
	embedded     bool         // the node uses its embedded Redis
	livekit      http.Handler // replaces the fake
	https        bool         // the API uses a certificate
	withoutReady bool         // the node waits for others, so newWorld does not wait until it is ready
}

// world is a node under a memory limit, with the services it needs.
type world struct {
	*nodetest.Node
	t       *testing.T
	redis   *redistest.Server // nil where the node uses its embedded one
	fake    *fakelivekit.Fake
	authKey string // the admin token, or ""
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
	if o.embedded {
		env = append(env, "ROLLCALL_EMBEDDED_REDIS=true")
	} else {
		w.redis = redistest.Start(t, "--appendonly", "no")
		env = append(env, "REDIS_URL="+w.redis.URL())
	}
	flags := append([]string{"--sync-interval=1h", "--stale-after=24h", "--cleanup-interval=23h", "--log-level=info"}, o.flags...)
	if o.https {
		cert, key := certificate(t)
		flags, w.scheme = append(flags, "--http-tls-cert="+cert, "--http-tls-key="+key), "https"
	}
	w.Node = nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), Wrapper: limited(o.files), ID: "n1", Flags: flags, Env: env})
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

// limited returns a command that executes the one after it under the limits of memory and, unless 0, of open files. It is not a
// script file, because a file that was just written cannot be executed while another test starts a process.
func limited(files int) []string {
	limits := fmt.Sprintf("ulimit -v %d", memory)
	if files > 0 {
		limits += fmt.Sprintf(" -n %d", files)
	}
	return []string{"bash", "-c", limits + ` && exec "$0" "$@"`}
}

// ready waits until the node is ready and has done the sync that follows every start, so that only the test itself changes Redis.
func (w *world) ready() {
	w.t.Helper()
	eventually.Nil(w.t, patience, "the node is ready", func() error { return w.get("/readyz", "").is(200) })
	eventually.Nil(w.t, patience, "the first sync", func() error {
		if a := w.get("/api/sync-rooms", w.authKey); !strings.Contains(a.body, `"lastSync"`) {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// pass waits for a time, or until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// answer is an HTTP answer. If there was none, its status is 0 and err says why.
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

// ask sends one request on a separate connection. Header names are sent as given.
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

// act posts an action with the admin's token.
func (w *world) act(action string) answer {
	return w.ask(http.MethodPost, "/api/sync-rooms", w.authKey, `{"action":"`+action+`"}`, nil)
}

// token returns a LiveKit access token with that grant.
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
