package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

const success = `{"success":true}`

func TestWebhookAnswers(t *testing.T) {
	good := func(now time.Time) string { return event("participant_joined", "EV_1", now) }
	raw := func(body string) func(time.Time) string { return func(time.Time) string { return body } }
	answer := func(err error) func(context.Context, reconcile.Event) error {
		return func(context.Context, reconcile.Event) error { return err }
	}
	const again, no = `{"error":"Cannot commit now; send it again"}`, `{"error":"Unauthorized"}`
	const bad = `{"error":"The body is not a webhook of LiveKit"}`
	for _, c := range []struct {
		name          string
		body          func(now time.Time) string
		sign          string
		deliver       error
		status        int
		answer, retry string
		outcome       string
		delivered     int
	}{
		{"committed", good, goodSign, nil, 200, success, "", committed, 1},
		{"unknown event", raw(event("egress_started", "EV_2", time.Now())), goodSign, nil, 200, success, "", ignored, 0},
		{"no signature", good, "", nil, 401, no, "", unauthorizedWebhook, 0},
		{"wrong signature", good, "forged", nil, 401, no, "", unauthorizedWebhook, 0},
		{"expired in the room", good, goodSign, fmt.Errorf("room: %w", ErrExpired), 401, no, "", expired, 1},
		{"signed but malformed", raw("{"), goodSign, nil, 400, bad, "", malformed, 0},
		{"empty", raw(""), goodSign, nil, 400, bad, "", malformed, 0},
		{"malformed for the room", good, goodSign, ErrMalformed, 400, bad, "", malformed, 1},
		{"young", good, goodSign, ErrUnavailable, 503, again, "1", unavailable, 1},
		{"busy", good, goodSign, ErrBusy, 503, again, "1", unavailable, 1},
		{"any other failure", good, goodSign, errSecret, 503, again, "1", unavailable, 1},
		{"old", func(now time.Time) string { return good(now.Add(-2 * time.Second)) }, goodSign, ErrUnavailable, 503, again, "4", unavailable, 1},
		{"without a date", raw(`{"event":"room_started","createdAt":"0"}`), goodSign, ErrUnavailable, 503, again, "4", unavailable, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, &node{deliver: answer(c.deliver)}, nil)
			w := r.ask("POST", "/api/livekit-webhook", c.body(time.Now()), func(req *http.Request) {
				if c.sign != "" {
					req.Header.Set("Authorization", c.sign)
				}
				req.RemoteAddr, req.Host = "203.0.113.9:1", "rollcall.example" // LiveKit may be anywhere
				req.Header.Set("Content-Type", "application/webhook+json")
			})
			t.Log(c.name)
			want(t, w, c.status, c.answer)
			if got := w.Header().Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After %q, want %q", got, c.retry)
			}
			if r.metric(t, "rollcall_webhooks_total", c.outcome) != 1 {
				t.Errorf("not counted as %s", c.outcome)
			}
			if got := r.node.delivered(); got != c.delivered {
				t.Errorf("%d delivered, want %d", got, c.delivered)
			}
		})
	}
}

func TestVerifierFailures(t *testing.T) {
	for err, status := range map[error]int{ErrUnauthorized: 401, ErrExpired: 401, ErrMalformed: 400, errSecret: 503} {
		r := newRig(t, &node{verify: func([]byte, string, time.Time) (reconcile.Event, bool, error) {
			return reconcile.Event{}, false, err
		}}, nil)
		w := r.hook("{}")
		if w.Code != status || strings.Contains(w.Body.String()+r.logs.String(), "hunter2") {
			t.Errorf("%v: status %d, want %d, answer %s, log %s", err, w.Code, status, w.Body, r.logs)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	at := time.Unix(1_795_399_903, 0)
	for after, seconds := range map[time.Duration]int{
		-time.Hour: late, -1001 * time.Millisecond: late, -time.Second: soon, 0: soon, 1999 * time.Millisecond: soon,
		2 * time.Second: late, time.Hour: late,
	} {
		if got := retryAfter(at.Unix(), at.Add(after)); got != seconds {
			t.Errorf("after %v: %d, want %d", after, got, seconds)
		}
	}
	for _, created := range []int64{0, -1 << 63, 1<<63 - 1} {
		if got := retryAfter(created, at); got != late {
			t.Errorf("createdAt %d: %d", created, got)
		}
	}
}

// TestRepeatsAreDelivered delivers the same event again and again: the rules of order decide what it means, not the API.
func TestRepeatsAreDelivered(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for range 3 {
		want(t, r.hook(event("room_started", "EV_1", time.Now())), 200, success)
	}
	want(t, r.hook(event("room_started", "", time.Now())), 200, success)
	if r.node.delivered() != 4 {
		t.Errorf("%d delivered, want all 4", r.node.delivered())
	}
}

func TestWebhookDeadlineCountsFromReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{deliver: func(ctx context.Context, _ reconcile.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		start := time.Now()
		w := newRig(t, n, nil).hook(event("room_started", "EV_1", start))
		took := time.Since(start)
		if w.Code != 503 || took > 5*time.Second || took <= 5*time.Second-wait.Step || w.Header().Get("Retry-After") != "4" {
			t.Errorf("status %d after %v, Retry-After %s", w.Code, time.Since(start), w.Header().Get("Retry-After"))
		}
	})
}

func TestWebhookOutlivesItsSender(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{deliver: func(ctx context.Context, _ reconcile.Event) error {
		cancel() // LiveKit was killed
		return ctx.Err()
	}}
	r := newRig(t, n, nil)
	want(t, r.hook(event("room_started", "EV_1", time.Now()), func(r *http.Request) { *r = *r.WithContext(ctx) }), 200, success)
}

func TestTooManyInFlight(t *testing.T) {
	full, release := make(chan struct{}), make(chan struct{})
	n := &node{deliver: func(context.Context, reconcile.Event) error {
		close(full)
		<-release
		return nil
	}}
	r := newRig(t, n, func(c *Config) { c.Limits.Webhooks = 1 })
	done := make(chan int)
	go func() { done <- r.hook(event("room_started", "EV_1", time.Now())).Code }()
	<-full
	w := r.hook(event("room_started", "EV_2", time.Now()))
	if w.Code != 503 || w.Header().Get("Retry-After") != "4" || r.metric(t, "rollcall_webhooks_in_flight") != 1 {
		t.Errorf("status %d, Retry-After %s", w.Code, w.Header().Get("Retry-After"))
	}
	close(release)
	if code := <-done; code != 200 || r.metric(t, "rollcall_webhooks_in_flight") != 0 {
		t.Errorf("the first got %d", code)
	}
}

// TestStrangersTakeNoPlace checks that a caller that cannot sign is answered before a byte of the body is waited for, and then
// has no slot.
func TestStrangersTakeNoPlace(t *testing.T) {
	r := newRig(t, &node{}, func(c *Config) { c.Limits.Webhooks = 1 })
	w := r.ask("POST", "/api/livekit-webhook", "", header("Authorization", "forged"), func(req *http.Request) {
		req.Body, req.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("read"))), 100
	})
	want(t, w, 401, `{"error":"Unauthorized"}`)
	if n := r.metric(t, "rollcall_webhooks_in_flight"); n != 0 {
		t.Errorf("it keeps %v slots", n)
	}
}

// TestFixtures sends every captured delivery and checks that nothing LiveKit sends is refused, and that the secret does not
// leak.
func TestFixtures(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for _, folder := range fixtures.Load(t) {
		for _, d := range folder.Deliveries {
			w := r.hook(string(d.Body))
			want(t, w, 200, success)
			broken := r.hook(string(d.Body[:len(d.Body)-1])) // the fake puts the body into its error
			if broken.Code != 400 || strings.Contains(broken.Body.String(), fixtures.Secret) {
				t.Errorf("a broken body: %d %s", broken.Code, broken.Body)
			}
		}
	}
	r.node.deliver = func(context.Context, reconcile.Event) error { panic(errors.New("a bug")) }
	want(t, r.hook(event("room_started", "EV_1", time.Now())), 500, `{"error":"Internal error; the log of this node says more"}`)
	metrics := r.ask("GET", "/metrics", "").Body.String()
	if strings.Contains(r.logs.String()+metrics, fixtures.Secret) {
		t.Error("the secret is in the logs or the metrics")
	}
	if !strings.Contains(metrics, `rollcall_webhooks_total{event="track",outcome="committed"}`) {
		t.Error("track events are not counted")
	}
	if r.metric(t, "rollcall_webhooks_in_flight")+r.metric(t, "rollcall_webhook_body_bytes") != 0 {
		t.Error("slots or bytes were not given back")
	}
}

// TestLookAtTheCause checks that a node without a leader does not send its operator to Redis.
func TestLookAtTheCause(t *testing.T) {
	for cause, want := range map[error]string{
		fmt.Errorf("%w: out of contact", ErrCluster):    "`rollcall cluster`",
		fmt.Errorf("%w: i/o timeout", ErrUnavailable):   "Redis",
		errors.New("the leader of the band is in here"): "Redis",
	} {
		if got := lookAt(verdict{outcome: unavailable, cause: cause}); !strings.Contains(got, want) || strings.Contains(got, "Redis") != (want == "Redis") {
			t.Errorf("%s: look at %s", cause, got)
		}
	}
}
