package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

const (
	// answerWithin is how long a webhook may take to be answered during any attack: LiveKit retries for about as long. On an
	// otherwise idle machine the answer takes a fraction of a second.
	answerWithin = 15 * time.Second
	// hookEvery is how often a witness sends a webhook.
	hookEvery = 200 * time.Millisecond
	// witnessRoom is the room of its webhooks.
	witnessRoom = "witness"
)

// fresh returns a transport that reuses no connection, like a LiveKit that was restarted.
func fresh() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: (&net.Dialer{Timeout: patience}).DialContext}
}

// joined returns the webhook of a participant's join.
func joined(room, identity string) string {
	now := time.Now()
	body, err := protojson.Marshal(&livekit.WebhookEvent{
		Event: "participant_joined", Id: fmt.Sprintf("EV_%d", now.UnixNano()), CreatedAt: now.Unix(),
		Room: &livekit.Room{Name: room, Sid: "RM_" + room, CreationTime: now.Unix() - 3600, CreationTimeMs: now.UnixMilli() - 3_600_000},
		Participant: &livekit.ParticipantInfo{Identity: identity, Sid: "PA_" + identity, State: livekit.ParticipantInfo_ACTIVE,
			JoinedAt: now.Unix(), JoinedAtMs: now.UnixMilli(), Version: 2},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// hook delivers a body as LiveKit would.
func (w *world) hook(body string) answer {
	signed, err := fakelivekit.Sign([]byte(body), fakelivekit.DefaultKey, fakelivekit.DefaultSecret)
	if err != nil {
		return answer{err: err}
	}
	return w.ask(http.MethodPost, webhookURL, "", body, http.Header{"Authorization": {signed}, "Content-Type": {"application/webhook+json"}})
}

// deliver delivers a body as LiveKit does: a second after a broken connection it tries again.
func (w *world) deliver(ctx context.Context, body string) error {
	for begun := time.Now(); ; pass(ctx, time.Second) {
		got := w.hook(body)
		if got.err == nil || ctx.Err() != nil || time.Since(begun)+time.Second > answerWithin {
			return got.is(200)
		}
	}
}

// people creates a room with these participants through webhooks.
func (w *world) people(room string, identities ...string) {
	w.t.Helper()
	for _, identity := range identities {
		if err := w.hook(joined(room, identity)).is(200); err != nil {
			w.t.Fatalf("the webhook of a join: %v", err)
		}
	}
}

// siege runs an attack while webhooks on new connections are sent repeatedly. It checks that each is answered with 200 within
// answerWithin, that some are answered during the attack, that /livez answers at the end, and that the process survives. A node
// that died is started again for the next attack.
func (w *world) siege(t *testing.T, attack func(ctx context.Context)) {
	t.Helper()
	if !w.alive() {
		w.Kill()
		w.Start()
		w.ready()
	}
	ctx, stop := context.WithCancel(t.Context())
	start, during := time.Now(), 0
	var over atomic.Bool
	var witness sync.WaitGroup
	var longest time.Duration
	var failures []string
	sent := 0
	witness.Go(func() {
		tick := time.NewTicker(hookEvery)
		defer tick.Stop()
		for ; ctx.Err() == nil; sent++ {
			begun := time.Now()
			err := w.deliver(t.Context(), joined(witnessRoom, "w")) // also if the attack ends meanwhile
			took := time.Since(begun)
			if longest = max(longest, took); err == nil && took > answerWithin {
				err = fmt.Errorf("took %v", took)
			}
			if err != nil {
				failures = append(failures, err.Error())
			} else if begun.Sub(start) > time.Second && !over.Load() {
				during++
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	attack(ctx)
	over.Store(true)
	lasted := time.Since(start)
	peak := w.peak()
	stop()
	witness.Wait()
	t.Logf("%d webhooks, the slowest took %v; memory: %s", sent, longest.Round(time.Millisecond), peak)
	if during == 0 && lasted > 4*time.Second {
		t.Errorf("no webhook was answered while the attack went on, for %v", lasted.Round(time.Millisecond))
	}
	if len(failures) > 0 {
		t.Errorf("%d of %d webhooks were not answered with 200 within %v, the first: %s", len(failures), sent, answerWithin, failures[0])
	}
	if !w.alive() {
		t.Errorf("the node is dead; its last words: %.600s", lastWords(string(w.Output())))
		return
	}
	if err := w.get("/livez", "").is(200); err != nil {
		t.Errorf("/livez: %v", err)
	}
}

func lastWords(log string) string {
	for _, sign := range []string{"fatal error:", "runtime:", "panic:"} {
		if at := strings.LastIndex(log, sign); at >= 0 {
			return log[at:]
		}
	}
	return log[max(0, len(log)-600):]
}

// keys returns all keys of Redis with their serialised values, except those of the witness and those that the node writes by
// itself.
func (w *world) keys(t *testing.T) map[string]string {
	t.Helper()
	c, ctx := w.redis.Client(), t.Context()
	all := map[string]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		own := strings.HasPrefix(key, "rooms:health") || strings.HasPrefix(key, "rooms:epoch:")
		if own || strings.HasSuffix(key, ":"+witnessRoom) {
			continue
		}
		raw, err := c.Dump(ctx, key).Result()
		if err != nil {
			t.Fatalf("dump %q: %v", key, err)
		}
		all[key] = raw
	}
	return all
}

// clusterState returns the replicated state of the cluster, as the admin sees it.
func (w *world) clusterState(t *testing.T) string {
	t.Helper()
	status, cluster := w.get("/api/sync-rooms", w.authKey), w.get("/api/cluster", w.authKey)
	if err := cluster.is(200); err != nil {
		t.Fatalf("/api/cluster: %v", err)
	}
	running := strings.Contains(status.body, `"syncServiceRunning":true`)
	return fmt.Sprintf("running %v, %d nodes, voters %d", running, strings.Count(cluster.body, `"id":`), strings.Count(cluster.body, `"voter":true`))
}

// unchanged checks that nothing in Redis and nothing in the replicated state changes while do runs.
func (w *world) unchanged(t *testing.T, do func()) {
	t.Helper()
	keys, clusterState := w.keys(t), w.clusterState(t)
	do()
	if now := w.clusterState(t); now != clusterState {
		t.Errorf("the cluster has changed: %s, before %s", now, clusterState)
		w.act("start-service")
	}
	now := w.keys(t)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if before, was := keys[key]; !was || before != now[key] {
			t.Errorf("the key %q is new or has changed", key)
		}
	}
	for key := range keys {
		if _, is := now[key]; !is {
			t.Errorf("the key %q is gone", key)
		}
	}
}
