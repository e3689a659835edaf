package e2e

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

const (
	// patience limits waits that take a second or two on an idle machine. The machine that runs tests is never idle.
	patience = time.Minute

	redisPassword = "redis-password-that-must-not-leak"
	// redisUser is rollcall's ACL user: it may write our keys, and read the application's.
	redisUser = "rollcall on >" + redisPassword + " ~rooms:* %R~matching:* +@all -keys -flushall -flushdb -monitor"
)

// options configure a world. The zero value has no sync but the first one: all changes come by webhooks.
type options struct {
	every      string   // --sync-interval
	flags, env []string // additional ones of rollcall serve
	adminToken string
	kinds      []string          // the kinds that count, for what the checks expect; default STANDARD and SIP
	departure  int               // seconds until LiveKit closes a room that everyone has left
	proxied    bool              // rollcall reaches LiveKit's API through w.proxy
	shared     bool              // LiveKit keeps its rooms in the same Redis
	noFeed     bool              // do not compare the feed with the keys
	unheard    bool              // LiveKit sends rollcall no webhooks
	down       bool              // do not start rollcall
	keys       map[string]string // further API keys of LiveKit
}

// world is a Redis, a LiveKit and a rollcall between them.
type world struct {
	*nodetest.Node
	t        *testing.T
	opts     options
	redis    *redistest.Server
	livekit  *livekittest.Server
	api      *lksdk.RoomServiceClient
	proxy    *proxy
	receiver *fakelivekit.Receiver // gets every webhook that rollcall gets
	watch    *watch
	client   *client.Client
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	w := &world{t: t, opts: o, redis: redistest.Start(t, append([]string{"--user"}, words(redisUser)...)...)}
	w.receiver = fakelivekit.NewReceiver(livekittest.Key, livekittest.Secret)
	ear := httptest.NewServer(w.receiver)
	t.Cleanup(ear.Close)
	w.Node = nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "n1", Flags: w.flags()})
	hook := livekittest.Options{URLs: []string{w.URL() + webhookPath, ear.URL}, DepartureTimeout: o.departure, Keys: o.keys}
	if o.unheard {
		hook.URLs = hook.URLs[1:]
	}
	if o.shared {
		hook.Redis = w.redis.Addr
	}
	w.livekit = livekittest.New(t, hook)
	w.api = lksdk.NewRoomServiceClient(w.livekit.URL(), livekittest.Key, livekittest.Secret)
	host := w.livekit.URL()
	if o.proxied {
		w.proxy = newProxy(t, w.livekit.URL())
		host = w.proxy.url
	}
	w.Env = append([]string{"LIVEKIT_HOST=" + host, "LIVEKIT_API_KEY=" + livekittest.Key, "LIVEKIT_API_SECRET=" + livekittest.Secret,
		"REDIS_URL=redis://rollcall:" + redisPassword + "@" + w.redis.Addr, "ROLLCALL_ADMIN_TOKEN=" + o.adminToken}, o.env...)
	var err error
	if w.client, err = client.New(w.URL(), client.WithToken(o.adminToken)); err != nil {
		t.Fatal(err)
	}
	w.seedForeign()
	w.watch = newWatch(w)
	t.Cleanup(w.check)
	if !o.down {
		w.Up()
		w.firstSync()
	}
	return w
}

func (w *world) flags() []string {
	every := w.opts.every
	if every == "" {
		every = "1h"
	}
	return append([]string{"--sync-interval=" + every, "--stale-after=24h", "--cleanup-interval=23h"}, w.opts.flags...)
}

// firstSync waits for the sync that follows every start, so that afterwards only the test itself changes anything.
func (w *world) firstSync() {
	w.t.Helper()
	eventually.Nil(w.t, patience, "the first sync", func() error {
		s, err := w.client.Status(w.ctx())
		if err != nil {
			return err
		}
		if s.LastSync == nil {
			return fmt.Errorf("no report yet")
		}
		return nil
	})
}

// cycleAfter waits for a scheduled sync that began after mark, and returns its report.
func (w *world) cycleAfter(mark time.Time) client.Report {
	w.t.Helper()
	var last client.Report
	eventually.Nil(w.t, 2*patience, "a completed sync by the schedule", func() error {
		s, err := w.client.Status(w.ctx())
		if err != nil {
			return err
		}
		if s.LastSync == nil || !s.LastSync.Scheduled || !s.LastSync.StartedAt.After(mark) {
			return fmt.Errorf("the last is %+v", s.LastSync)
		}
		last = *s.LastSync
		return nil
	})
	return last
}

// sync requests syncs until one defers nothing to the next, and returns its report.
func (w *world) sync(o client.ActionOptions) client.Report {
	w.t.Helper()
	var last client.Report
	eventually.Nil(w.t, patience, "a sync that defers nothing", func() error {
		if _, err := w.client.Sync(w.ctx(), o); err != nil {
			w.t.Fatalf("sync: %v", err)
		}
		s, err := w.client.Status(w.ctx())
		if err != nil || s.LastSync == nil {
			w.t.Fatalf("no report after a sync: %v", err)
		}
		if last = *s.LastSync; last.Deferred > 0 {
			return fmt.Errorf("%d differences are left to the next", last.Deferred)
		}
		return nil
	})
	return last
}

// settle waits until syncs may contradict the webhooks so far: --livekit-lag, in Redis' whole seconds.
func (w *world) settle() {
	w.t.Helper()
	select {
	case <-time.After(11 * time.Second):
	case <-w.t.Context().Done():
	}
}

// ctx returns a context that limits one request, with enough time for a busy machine.
func (w *world) ctx() context.Context { return bounded(w.t) }

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}
