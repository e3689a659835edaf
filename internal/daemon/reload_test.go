package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/reconcile"
)

// reloads is a world whose configuration can be read again.
type reloads struct {
	*world
	next  config.Config // what the next reload reads
	wrong error         // or why it cannot
	level slog.LevelVar
	said  *lockedBuffer
}

// lockedBuffer may be read while others write to it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newReloads(t *testing.T, flags ...string) *reloads {
	t.Helper()
	w := &reloads{said: &lockedBuffer{}}
	w.world = newLoggedWorld(t, slog.New(slog.NewTextHandler(w.said, &slog.HandlerOptions{Level: &w.level})), flags...)
	w.next = w.config
	w.daemon.Reloadable(func() (config.Loaded, error) {
		return config.Loaded{Config: w.next, Warnings: []string{"a warning"}}, w.wrong
	}, &w.level)
	return w
}

func (w *reloads) reload(changed []string, needRestart ...string) {
	w.Helper()
	gotChanged, gotRestart, err := w.daemon.Reload()
	if err != nil || !slices.Equal(gotChanged, changed) || !slices.Equal(gotRestart, needRestart) {
		w.Errorf("changed %q, need a restart %q (%v), want %q and %q", gotChanged, gotRestart, err, changed, needRestart)
	}
}

// reads returns the status of a read with that token.
func (w *reloads) reads(token string) int {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.daemon.Addr().String()+"/api/rooms", nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestReloadChangesWhatRuns checks that each setting reaches the part that uses it.
func TestReloadChangesWhatRuns(t *testing.T) {
	t.Parallel()
	w := newReloads(t, "--sync-interval=1h", "--cleanup-interval=2h", "--livekit-rate=100", "--admin-token=token-before")
	old := w.next.LiveKit
	reader, err := auth.NewAccessToken("APIafter", "secret-after-secret-after-secret").SetVideoGrant(&auth.VideoGrant{RoomList: true}).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.report(time.Time{}, func(reconcile.Report) bool { return true })

	w.next.LiveKit.APIKey, w.next.LiveKit.APISecret, w.next.LiveKit.Rate = "APIafter", "secret-after-secret-after-secret", 50
	w.next.LiveKit.Keys = map[string]config.Secret{old.APIKey: old.APISecret}
	w.next.AdminToken, w.next.LogLevel, w.next.DrainDelay = "token-after", slog.LevelWarn, time.Millisecond
	w.next.SyncInterval, w.next.CleanupInterval, w.next.StaleAfter = time.Second, time.Minute, 3*time.Hour
	w.next.Redis.DB = 7
	w.reload([]string{"livekit-api-key", "livekit-api-secret", "livekit-keys", "livekit-rate", "admin-token", "drain-delay", "sync-interval", "cleanup-interval",
		"stale-after", "log-level"}, "redis-url")

	for token, want := range map[string]int{"token-before": 401, "token-after": 200, reader: 200} {
		if got := w.reads(token); got != want {
			t.Errorf("a read with the token %.12s…: %d, want %d", token, got, want)
		}
	}
	if key := w.daemon.node.Cluster.Advisory()["--livekit-api-key"]; key != "APIafter" {
		t.Errorf("other nodes are told of the key %q", key)
	}
	if rate := w.daemon.livekit.Rate(); rate != 50 {
		t.Errorf("the rate is %v", rate)
	}
	if s, err := w.daemon.node.Status(t.Context()); err != nil || s.SyncInterval != time.Second || s.CleanupInterval != time.Minute ||
		s.NextCleanup.After(time.Now().Add(2*time.Minute)) {
		t.Errorf("the schedule: %+v (%v)", s, err)
	}
	if every := testutil.ToFloat64(w.daemon.metrics.intervals.WithLabelValues("sync")); every != 1 {
		t.Errorf("the metric of the interval is %v", every)
	}
	w.fill(1) // webhooks with the old key, of LIVEKIT_KEYS
	// LiveKit does not know the new key.
	w.report(began, func(r reconcile.Report) bool {
		return r.Fault == reconcile.LiveKitRefuses && !r.LastGood.IsZero() && r.LastGood.Before(r.FaultSince)
	})
	if w.level.Level() != slog.LevelWarn {
		t.Errorf("the log's level is %v", w.level.Level())
	}
	for _, want := range []string{"read again", "changed=", "redis-url", "a warning"} {
		if !strings.Contains(w.said.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, w.said)
		}
	}
	for _, secret := range []string{"token-", "secret-after", string(old.APISecret)} {
		if strings.Contains(w.said.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, w.said)
		}
	}

	w.next.LiveKit = old
	w.reload([]string{"livekit-api-key", "livekit-api-secret", "livekit-keys", "livekit-rate"}, "redis-url")
	w.report(time.Now(), func(r reconcile.Report) bool { return r.Fault == "" && r.Synced == 1 })
	if got := w.reads(reader); got != 401 {
		t.Errorf("a token of the key that is gone: %d", got)
	}
	if d := w.daemon.current.end().DrainDelay; d != time.Millisecond {
		t.Errorf("the drain delay is %v", d)
	}
}

// TestAWrongReloadChangesNothing reads a configuration that is wrong, with new values that are right.
func TestAWrongReloadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newReloads(t, "--sync-interval=1h", "--admin-token=token-before")
	w.next.AdminToken, w.next.SyncInterval = "token-after", time.Second
	check := func(want string) {
		t.Helper()
		changed, restart, err := w.daemon.Reload()
		if err == nil || !strings.Contains(err.Error(), want) || changed != nil || restart != nil {
			t.Errorf("%q, %q, %v; want %s", changed, restart, err, want)
		}
		if w.reads("token-before") != 200 || w.reads("token-after") != 401 {
			t.Error("the admin token has changed")
		}
		if s, err := w.daemon.node.Status(t.Context()); err != nil || s.SyncInterval != time.Hour {
			t.Errorf("the sync interval is %v (%v)", s.SyncInterval, err)
		}
	}
	w.wrong = errors.New("--stale-after: wrong")
	check("--stale-after: wrong")
	if !strings.Contains(w.said.String(), "nothing has changed") || !strings.Contains(w.said.String(), "--stale-after: wrong") {
		t.Errorf("the log: %s", w.said)
	}
	w.wrong = nil
	w.next.LiveKit.APISecret = "" // no configuration that Load returns, but a change must not happen by halves
	check("neither key nor secret may be empty")
	w.next.LiveKit.APISecret = w.config.LiveKit.APISecret
	w.daemon.Reloadable(nil, nil)
	check("cannot read its configuration again")
	w.daemon.Reloadable(func() (config.Loaded, error) { return config.Loaded{Config: w.next}, nil }, &w.level)
	w.daemon.current.end()
	check("starts or stops")
	if _, err := (reloader{w.daemon}).Reload(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "nothing has changed: ") {
		t.Errorf("the API says: %v", err)
	}
}

// TestTheTokenOfAReload checks which admin token may ask for a reload besides the present one: what its file holds now.
func TestTheTokenOfAReload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token-before")
	w := newReloads(t, "--sync-interval=1h", "--admin-token-file="+file)
	for text, want := range map[string]string{"token-after\n": "token-after", "\n": ""} {
		write(text)
		if got := (reloader{w.daemon}).AdminToken(); got != want {
			t.Errorf("the file holds %q: %q", text, got)
		}
	}
	write("token-after")
	w.daemon.Reloadable(nil, nil)
	if got := (reloader{w.daemon}).AdminToken(); got != "" {
		t.Errorf("a node that does not reload: %q", got)
	}
	if w.reads("token-after") != 401 {
		t.Error("the token of the file reads before a reload")
	}
}

// TestConcurrentReloads reads the configuration again and again while it is used.
func TestConcurrentReloads(t *testing.T) {
	t.Parallel()
	w := newReloads(t, "--sync-interval=1h", "--admin-token=token-before")
	rounds := make(chan error)
	for range 4 {
		go func() {
			for range 20 {
				if _, _, err := w.daemon.Reload(); err != nil {
					rounds <- fmt.Errorf("a reload: %w", err)
					return
				}
			}
			rounds <- nil
		}()
	}
	w.fill(5)
	for range 4 {
		if err := <-rounds; err != nil {
			t.Error(err)
		}
	}
	if w.reads("token-before") != 200 {
		t.Error("the token is gone")
	}
}
