package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// TestDroppedWebhooks checks LiveKit's report, in one webhook, that it dropped others, without saying of which rooms. One sync
// follows, and no second one within the interval.
func TestDroppedWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true}) // its sync interval is an hour
	told := func() {
		if a := w.hook([]byte(`{"event":"egress_started","id":"EV_9","createdAt":"1795399866","numDropped":7,"egressInfo":{"egressId":"EG_1"}}`)); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	w.create(t, "first")
	told()
	eventually.Nil(t, patience, "the room", func() error { return w.hasPresent("first") })
	w.create(t, "second")
	for range 5 {
		told()
	}
	begun := time.Now()
	for time.Since(begun) < 3*time.Second {
		if w.hasPresent("second") == nil {
			t.Fatal("a second sync within the interval")
		}
		<-time.After(100 * time.Millisecond)
	}
	if metrics := string(w.request(http.MethodGet, "/metrics", nil, nil).body); !strings.Contains(metrics, "rollcall_livekit_dropped_webhooks_total 42") {
		t.Error("they are not counted")
	}
}

// TestRefusedWebhooksSayWhy checks that each kind of refused webhook is counted by its reason, including a webhook to a path that
// accepts none.
func TestRefusedWebhooksSayWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true})
	body, later := joined(t, "refused", "alice"), time.Now().Add(5*time.Minute)
	w.hookWith(body, "")
	w.hookWith(body, sign(t, body, "stranger", livekittest.Secret, later))
	w.hookWith(body, sign(t, body, livekittest.Key, "another-secret-of-at-least-32-characters", later))
	w.hookWith(append([]byte(" "), body...), sign(t, body, livekittest.Key, livekittest.Secret, later))
	w.hook([]byte(`{"event":"room_started","id":"EV_1","createdAt":"1795399866","room":{"sid":"RM_1"}}`))
	w.request(http.MethodPost, webhookPath+"/", body, http.Header{"Content-Type": {"application/webhook+json"}})
	for _, line := range [][]string{
		{"no token in the Authorization header", "a proxy before this node"},
		{"unknown API key", "stranger", "webhook.api_key of LiveKit"},
		{"with the secret of its API key", "differ"},
		{"not the one that was signed", "changes bodies"},
		{"a room without a name", "malformed"},
		{"right_path", webhookPath, "a slash too many"},
	} {
		if err := w.Says(line...); err != nil {
			t.Error(err)
		}
	}
}
