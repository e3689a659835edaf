package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestEachKindOfRefusalHasItsLine checks that refusals of several kinds at once are all logged, and none hides another.
func TestEachKindOfRefusalHasItsLine(t *testing.T) {
	var refusal error
	r := newRig(t, &node{verify: func([]byte, string, time.Time) (reconcile.Event, bool, error) {
		return reconcile.Event{}, false, refusal
	}}, nil)
	for _, c := range []struct {
		refusal Rejected
		words   string
	}{
		{Rejected{ErrUnauthorized, NoToken, "no token in the Authorization header"}, "a proxy before this node removes"},
		{Rejected{ErrUnauthorized, UnknownKey, `the token is signed with the unknown API key "k2"`}, "one of LIVEKIT_KEYS"},
		{Rejected{ErrUnauthorized, WrongKey, "the token's signature is not made by HS256"}, "the secret of that API key"},
		{Rejected{ErrUnauthorized, OtherBody, "the body is not the one that was signed"}, "changes bodies"},
		{Rejected{ErrExpired, "", "outside the token's time"}, "the clocks"},
		{Rejected{ErrMalformed, "", "a room without a name"}, "no supported LiveKit sends"},
	} {
		refusal = &c.refusal
		for range 3 {
			r.hook("{}")
		}
		lines := 0
		for line := range strings.Lines(r.logs.String()) {
			if strings.Contains(line, c.words) && strings.Contains(line, strings.ReplaceAll(c.refusal.Why, `"`, `\"`)) {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%s: %d lines with %q and the reason\n%s", c.refusal.Why, lines, c.words, r.logs)
		}
	}
}

// TestAWebhookToAnotherPath checks that such a webhook, which LiveKit loses, is logged and counted.
func TestAWebhookToAnotherPath(t *testing.T) {
	for sent, near := range map[string]string{
		"/api/livekit-webhook/": "a slash too many", "//api/livekit-webhook": "a slash too many", "/rollcall/api/livekit-webhook": "a prefix before it",
		"/api/LiveKit-Webhook": "letter case", "/": "the root", "/webhook": "is another", "/api/sync-rooms": "is another", "/api/rooms/SECRET": "is another",
		"/api/livekit-webhook/x": "continues after it",
	} {
		r := newRig(t, &node{}, nil)
		for range 3 {
			w := r.ask(http.MethodPost, sent, event("room_started", "EV_1", time.Now()), func(req *http.Request) {
				req.Header.Set("Content-Type", "application/webhook+json; charset=utf-8")
				req.RemoteAddr, req.Host = "203.0.113.9:1", "rollcall.example"
			})
			if w.Code < 400 {
				t.Errorf("%s: %d", sent, w.Code)
			}
		}
		log := r.logs.String()
		if strings.Count(log, "right_path=/api/livekit-webhook") != 1 || !strings.Contains(log, near) || strings.Contains(log, "SECRET") {
			t.Errorf("%s: the log is\n%s", sent, log)
		}
		if n := r.metric(t, "rollcall_webhooks_total", wrongPath); n != 3 {
			t.Errorf("%s: %v counted", sent, n)
		}
	}
	r := newRig(t, &node{}, nil)
	r.ask(http.MethodPost, "/webhook", "{}", func(req *http.Request) { req.Header.Set("Content-Type", "application/json") })
	r.hook(event("room_started", "EV_1", time.Now()))
	if strings.Contains(r.logs.String(), "right_path") {
		t.Errorf("the log is\n%s", r.logs)
	}
}

// TestDroppedEventsAreTold checks that dropped events are reported, including those in a webhook that concerns no room.
func TestDroppedEventsAreTold(t *testing.T) {
	lost := 0
	r := newRig(t, &node{}, func(c *Config) { c.Lost = func(n int) { lost += n } })
	r.hook(event("room_started", "EV_1", time.Now()))
	r.hook(`{"event":"egress_started","createdAt":"1","x":"numDropped"}`)
	r.hook(`{"event":"room_started","createdAt":"1","x":"numDropped numDropped"}`)
	if n := r.metric(t, "rollcall_livekit_dropped_webhooks_total"); lost != 3 || n != 3 || strings.Count(r.logs.String(), "LiveKit has dropped webhooks") != 1 {
		t.Errorf("%d told, %v counted, the log is\n%s", lost, n, r.logs)
	}
}
