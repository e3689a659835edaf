package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

const (
	laterKey, laterSecret = "laterkey", "later-secret-that-must-not-leak-1"
	tokenBefore           = "the-admin-token-before-the-rotation"
	tokenAfter            = "the-admin-token-after-the-rotation"
)

// settings are the files that configure a node, as an operator edits them.
type settings struct {
	*world
	dir string
}

// newSettings starts a world whose configuration is in files, and whose LiveKit has two keys.
func newSettings(t *testing.T) *settings {
	t.Helper()
	s := &settings{newWorld(t, options{every: "1h", down: true, keys: map[string]string{laterKey: laterSecret}}), t.TempDir()}
	s.write("secret", livekittest.Secret+"\n")
	s.write("keys", livekittest.Key+": "+livekittest.Secret+"\n")
	s.write("token", tokenBefore+"\n")
	s.write("rollcall.yaml", s.yaml(livekittest.Key, "500"))
	s.Env = append(slices.DeleteFunc(s.Env, func(v string) bool {
		return strings.HasPrefix(v, "LIVEKIT_API_") || strings.HasPrefix(v, "ROLLCALL_ADMIN_TOKEN=")
	}), "ROLLCALL_CONFIG="+s.path("rollcall.yaml"), "LIVEKIT_API_SECRET_FILE="+s.path("secret"), "LIVEKIT_KEYS_FILE="+s.path("keys"),
		"ROLLCALL_ADMIN_TOKEN_FILE="+s.path("token"))
	s.opts.adminToken = tokenBefore
	s.as(tokenBefore)
	s.Up()
	s.firstSync()
	return s
}

func (s *settings) path(name string) string { return filepath.Join(s.dir, name) }

// write replaces a file in one step, as Kubernetes and editors do.
func (s *settings) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path("new"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.path("new"), s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *settings) yaml(key, rate string) string {
	return "livekit-api-key: " + key + "\nlivekit-rate: " + rate + "\n"
}

// as makes the test's own requests with that token.
func (s *settings) as(token string) {
	s.t.Helper()
	var err error
	if s.client, err = client.New(s.URL(), client.WithToken(token)); err != nil {
		s.t.Fatal(err)
	}
}

// reload runs rollcall reload.
func (s *settings) reload(token string, want ...string) {
	s.t.Helper()
	out, problems, code := s.command([]string{"ROLLCALL_ADDR=" + s.URL(), "ROLLCALL_TOKEN=" + token}, "reload")
	for _, part := range want {
		if code != 0 || !strings.Contains(out, part) {
			s.t.Errorf("rollcall reload: exit %d, %q %q, want %q", code, out, problems, part)
		}
	}
}

// stream sends webhooks without pause until its context ends, signed with the key that it has at that time. Every one must be accepted.
type stream struct {
	*settings
	later    atomic.Bool // sign with the later key
	accepted [2]atomic.Int64
	sending  sync.WaitGroup
}

func (s *stream) send(ctx context.Context, room string) {
	for n := 0; ctx.Err() == nil; n++ {
		key, secret, which := livekittest.Key, livekittest.Secret, 0
		if s.later.Load() {
			key, secret, which = laterKey, laterSecret, 1
		}
		body := joined(s.t, room, fmt.Sprintf("p%05d", n))
		a, err := s.tryHook(body, sign(s.t, body, key, secret, time.Now().Add(time.Minute)))
		if err != nil || a.status != http.StatusOK {
			s.t.Errorf("a webhook of %s signed with %s: %d %s %v", room, key, a.status, a.body, err)
			return
		}
		s.accepted[which].Add(1)
		select {
		case <-time.After(5 * time.Millisecond): // some hundred a second are enough
		case <-ctx.Done():
		}
	}
}

// more waits until each sender has had some more webhooks accepted.
func (s *stream) more(which int) {
	s.t.Helper()
	goal := s.accepted[which].Load() + 40
	eventually.True(s.t, fmt.Sprint("40 more webhooks with key ", which), func() bool { return s.accepted[which].Load() >= goal || s.t.Failed() })
}

// TestKeysRotateWithoutALostWebhook rotates LiveKit's key and the admin token by the runbook of docs/operations.md, while webhooks arrive
// without pause: each is accepted.
func TestKeysRotateWithoutALostWebhook(t *testing.T) {
	t.Parallel()
	s := &stream{settings: newSettings(t)}
	pid := s.Pid()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for i := range 4 {
		s.sending.Go(func() { s.send(ctx, fmt.Sprint("rotation-", i)) })
	}
	s.more(0)

	// The new pair may sign webhooks, then LiveKit signs with it.
	s.write("keys", livekittest.Key+": "+livekittest.Secret+"\n"+laterKey+": "+laterSecret+"\n")
	s.reload(tokenBefore, "Changed: livekit-keys.")
	s.later.Store(true)
	s.more(1)

	// The new pair signs rollcall's own requests. LiveKit itself sends webhooks with the old one until it is restarted.
	s.write("rollcall.yaml", s.yaml(laterKey, "500"))
	s.write("secret", laterSecret)
	s.reload(tokenBefore, "livekit-api-key", "livekit-api-secret")
	s.create(t, "by the old key")
	s.more(1)
	if r, err := s.client.Sync(s.ctx(), client.ActionOptions{}); err != nil || r.Result.Errors != 0 || r.Fault != "" {
		t.Errorf("a sync with the new key: %+v %v", r, err)
	}

	// The admin token, by the signal.
	s.write("token", tokenAfter)
	s.Signal(syscall.SIGHUP)
	s.as(tokenAfter)
	eventually.Nil(t, patience, "the new admin token", func() error { _, err := s.client.Status(s.ctx()); return err })
	if a := s.request(http.MethodGet, syncPath, nil, http.Header{"Authorization": {"Bearer " + tokenBefore}}); a.status != http.StatusUnauthorized {
		t.Errorf("the old admin token: %d", a.status)
	}

	// The admin token again, by the token in its file, as rollcall reload in a container sends it.
	s.write("token", tokenBefore)
	s.reload(tokenBefore, "Changed: admin-token.")
	s.write("token", tokenAfter)
	s.reload(tokenAfter, "Changed: admin-token.")

	// The old pair ends.
	s.write("keys", laterKey+": "+laterSecret)
	s.reload(tokenAfter, "Changed: livekit-keys.")
	s.more(1)
	stop()
	s.sending.Wait()
	s.opts.adminToken = tokenAfter
	body := joined(t, "refused", "p")
	if a := s.hookWith(body, sign(t, body, livekittest.Key, livekittest.Secret, time.Now().Add(time.Minute))); a.status != http.StatusUnauthorized {
		t.Errorf("a webhook with the old key: %d %s", a.status, a.body)
	}
	if s.Pid() != pid {
		t.Error("the node has restarted")
	}
	t.Logf("%d webhooks accepted with the old key, %d with the new one", s.accepted[0].Load(), s.accepted[1].Load())
}

// TestAWrongReloadChangesNothing makes one of several new settings wrong: none of them counts, the node goes on, and says why.
func TestAWrongReloadChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSettings(t)
	s.write("token", tokenAfter)
	for name, c := range map[string]struct{ file, text, want string }{
		"a wrong value":    {"rollcall.yaml", s.yaml(livekittest.Key, "soon"), "--livekit-rate, ROLLCALL_LIVEKIT_RATE: \"soon\" is not a number"},
		"an empty secret":  {"secret", "\n", "--livekit-api-secret-file, LIVEKIT_API_SECRET_FILE: "},
		"a wrong key file": {"keys", laterSecret, "--livekit-keys-file, LIVEKIT_KEYS_FILE: "},
	} {
		before, err := os.ReadFile(s.path(c.file))
		if err != nil {
			t.Fatal(err)
		}
		s.write(c.file, c.text)
		_, problems, code := s.command([]string{"ROLLCALL_ADDR=" + s.URL(), "ROLLCALL_TOKEN=" + tokenBefore}, "reload")
		if code != 1 || !strings.Contains(problems, "nothing has changed") || !strings.Contains(problems, c.want) {
			t.Errorf("%s: rollcall reload: exit %d, %q", name, code, problems)
		}
		said := strings.Count(string(s.Output()), "nothing has changed")
		s.Signal(syscall.SIGHUP)
		eventually.True(t, name+": the log says why", func() bool { return strings.Count(string(s.Output()), "nothing has changed") > said })
		if _, err := s.client.Status(s.ctx()); err != nil {
			t.Errorf("%s: the old token: %v", name, err)
		}
		if a := s.hook(joined(t, "goes on", "p")); a.status != http.StatusOK {
			t.Errorf("%s: a webhook: %d %s", name, a.status, a.body)
		}
		s.write(c.file, string(before))
	}
	s.reload(tokenBefore, "Changed: admin-token.")
	s.opts.adminToken = tokenAfter
	s.as(tokenAfter)
	if _, err := s.client.Status(s.ctx()); err != nil {
		t.Errorf("the new token: %v", err)
	}
}
