package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// TestWebhookEndpoint checks the documented behaviour of POST /api/livekit-webhook from outside. 503 is in TestRedisDown.
func TestWebhookEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{env: []string{"LIVEKIT_KEYS=newkey: a-new-secret-that-is-long-enough-for-hs256"}})
	body, later := joined(t, "hooked", "alice"), time.Now().Add(5*time.Minute)
	good := sign(t, body, livekittest.Key, livekittest.Secret, later)
	const done, refused = `{"success":true}`, `{"error":"Unauthorized"}`
	event := func(json string) answer { return w.hook([]byte(json)) }
	for _, c := range []struct {
		what   string
		got    answer
		status int
		body   string // "" for any error
	}{
		{"no token", w.hookWith(body, ""), http.StatusUnauthorized, refused},
		{"no JWT", w.hookWith(body, "nonsense"), http.StatusUnauthorized, refused},
		{"another secret", w.hookWith(body, sign(t, body, livekittest.Key, "another-secret-of-at-least-32-characters", later)), http.StatusUnauthorized, refused},
		{"an unknown key", w.hookWith(body, sign(t, body, "stranger", livekittest.Secret, later)), http.StatusUnauthorized, refused},
		{"another body", w.hookWith(append([]byte(" "), body...), good), http.StatusUnauthorized, refused},
		{"expired", w.hookWith(body, sign(t, body, livekittest.Key, livekittest.Secret, time.Now().Add(-10*time.Minute))), http.StatusUnauthorized, refused},
		{"not yet valid", w.hookWith(body, sign(t, body, livekittest.Key, livekittest.Secret, time.Now().Add(time.Hour))), http.StatusUnauthorized, refused},
		{"signed, no JSON", event(`{"event":`), http.StatusBadRequest, ""},
		{"signed, no event", event(`{}`), http.StatusBadRequest, ""},
		{"signed, no room", event(`{"event":"participant_joined","id":"EV_1"}`), http.StatusBadRequest, ""},
		{"GET", w.request(http.MethodGet, webhookPath, nil, nil), http.StatusMethodNotAllowed, ""},
		{"PUT", w.request(http.MethodPut, webhookPath, body, http.Header{"Authorization": {good}}), http.StatusMethodNotAllowed, ""},
		{"too large", w.hook(bytes.Repeat([]byte(" "), 8<<20+1)), http.StatusRequestEntityTooLarge, ""},
		{"unknown event", event(`{"event":"pigs_fly","id":"EV_2","createdAt":"1795399866","wings":{"n":2}}`), http.StatusOK, done},
		{"egress event", event(`{"event":"egress_started","id":"EV_3","egressInfo":{"egressId":"EG_1"}}`), http.StatusOK, done},
		{"with Bearer", w.hookWith(body, "Bearer "+good), http.StatusOK, done},
		{"good", w.hookWith(body, good), http.StatusOK, done},
	} {
		text := strings.TrimSpace(string(c.got.body))
		if c.got.status != c.status || c.body != "" && text != c.body || !strings.HasPrefix(c.got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s, want %d %s", c.what, c.got.status, text, c.status, c.body)
		}
		if c.body == "" && !strings.HasPrefix(text, `{"error":"`) {
			t.Errorf("%s: the body %s is no error", c.what, text)
		}
	}
	if err := w.hasPresent("hooked", "alice"); err != nil {
		t.Error(err)
	}
	w.repeatedWebhook(body)
	rotated := joined(t, "hooked", "bob")
	if a := w.hookWith(rotated, sign(t, rotated, "newkey", "a-new-secret-that-is-long-enough-for-hs256", later)); a.status != http.StatusOK {
		t.Errorf("the second key of LIVEKIT_KEYS: %d %s", a.status, a.body)
	}
	if err := w.hasPresent("hooked", "alice", "bob"); err != nil {
		t.Error(err)
	}
}

// repeatedWebhook checks that LiveKit's retries and duplicates get the same answer as the first delivery, and change nothing.
func (w *world) repeatedWebhook(body []byte) {
	w.t.Helper()
	before := w.dumps(ourPublic)
	for range 3 {
		if a := w.hook(body); a.status != http.StatusOK {
			w.t.Errorf("a repeat: %d %s", a.status, a.body)
		}
	}
	w.unchanged(before, "a repeat")
}

// TestFixtures delivers everything that was captured from a real LiveKit, with new signatures. The world's own checks look for
// the captured turnPassword in Redis, in the log and in the answers.
func TestFixtures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, f := range fixtures.Load(t) {
		for i, d := range f.Deliveries {
			if a := w.hook(d.Body); a.status != http.StatusOK {
				t.Errorf("%s, delivery %d (%s): %d %s", f.Name, i, d.Event, a.status, a.body)
			}
		}
	}
	if n := w.redis.Client().XLen(w.ctx(), "rooms:events").Val(); n < 50 {
		t.Errorf("the change feed has %d entries, and the fixtures tell of more", n)
	}
}
