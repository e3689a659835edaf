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
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/livekittest"
	"github.com/rollcallhq/rollcall/testing/nodetest"
	"github.com/rollcallhq/rollcall/testing/redistest"
)

const (
	// patience is for what takes a second or two on an idle machine; the tests' machine is never idle.
	patience = 30 * time.Second

	redisPassword = "redis-password-that-must-not-leak"
	// redisUser is rollcall's: our keys, and the application's to read.
	redisUser = "rollcall on >" + redisPassword + " ~rooms:* %R~matching:* +@all -keys -flushall -flushdb -monitor"
)

// options choose a world. The zero value has no sync but the first one: what changes comes by webhooks.
type options struct {
	every      string   // --sync-interval
	flags, env []string // further ones of rollcall serve
	adminToken string
	kinds      []string // that count, for what the checks expect; default STANDARD and SIP
	departure  int      // seconds until LiveKit closes a room that everyone left
	proxied    bool     // rollcall reaches LiveKit's API through w.proxy
	shared     bool     // LiveKit keeps its rooms in the same Redis
	noFeed     bool     // do not hold the feed against the keys
	unheard    bool     // LiveKit sends rollcall no webhooks: what it should have told is lost
	down       bool     // do not start rollcall
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
	hook := livekittest.Options{URLs: []string{w.URL() + webhookPath, ear.URL}, DepartureTimeout: o.departure}
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

// firstSync waits for the sync that every start begins with, so that nothing but what the test does moves afterwards.
func (w *world) firstSync() {
	w.t.Helper()
	poll(w.t, patience, "the first sync", func() error {
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

// cycleAfter waits for a sync by the schedule that began after mark, and gives its report.
func (w *world) cycleAfter(mark time.Time) client.Report {
	w.t.Helper()
	var last client.Report
	poll(w.t, 2*patience, "a completed sync by the schedule", func() error {
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

// sync asks for syncs until one leaves nothing to the next, and has its report.
func (w *world) sync(o client.ActionOptions) client.Report {
	w.t.Helper()
	var last client.Report
	poll(w.t, patience, "a sync that defers nothing", func() error {
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

// settle waits until syncs may contradict what the webhooks have told so far: --livekit-lag, in Redis' whole seconds.
func (w *world) settle() {
	w.t.Helper()
	select {
	case <-time.After(11 * time.Second):
	case <-w.t.Context().Done():
	}
}

// ctx bounds one request, however busy the machine is.
func (w *world) ctx() context.Context { return bounded(w.t) }

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// poll tries until it works, and fails the test with the last error after the time.
func poll(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s: %v", within, what, err)
		}
	}
}
