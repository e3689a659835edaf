package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// largeEvent returns an event with a body of that many bytes.
func largeEvent(id string, now time.Time, size int) string {
	return event("room_started", id, now) + strings.Repeat(" ", size)
}

// TestLargeWebhooksTakeTurns sends three webhooks of 7 MiB to a node whose Redis hangs. The third must get 503 after half
// the time, and a webhook of usual size must pass meanwhile.
func TestLargeWebhooksTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n := &node{deliver: func(ctx context.Context, ev reconcile.Event) error {
			if strings.HasPrefix(ev.ID, "EV_LARGE") {
				<-release
			}
			return nil
		}}
		r := newRig(t, n, nil)
		answers := make(chan int, 2)
		start := time.Now()
		for _, id := range []string{"EV_LARGE1", "EV_LARGE2"} {
			go func() { answers <- r.hook(largeEvent(id, start, 7<<20)).Code }()
		}
		synctest.Wait()
		if got := r.metric(t, "rollcall_webhook_body_bytes"); got != 0 {
			t.Errorf("%v bytes of bodies are held while their events wait for the commit", got)
		}
		third := make(chan *httptest.ResponseRecorder)
		go func() { third <- r.hook(largeEvent("EV_LARGE3", start, 7<<20)) }()
		synctest.Wait()
		want(t, r.hook(event("room_started", "EV_USUAL", start)), 200, success)
		if time.Since(start) != 0 {
			t.Errorf("a webhook of usual size waited %v", time.Since(start))
		}
		w := <-third
		if w.Code != 503 || w.Header().Get("Retry-After") != "4" || time.Since(start) != 2500*time.Millisecond {
			t.Errorf("the third: status %d, Retry-After %q, after %v", w.Code, w.Header().Get("Retry-After"), time.Since(start))
		}
		close(release)
		if a, b := <-answers, <-answers; a != 200 || b != 200 {
			t.Errorf("the first two got %d and %d", a, b)
		}
		want(t, r.hook(largeEvent("EV_LARGE4", start, 7<<20)), 200, success)
	})
}

// TestALargeEventWaitsInItsPart checks that a large event from a light body counts while it waits for its commit.
func TestALargeEventWaitsInItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attributes := map[string]string{}
		for i := range 200_000 {
			attributes[strings.Repeat("k", i%7)+time.Duration(i).String()] = ""
		}
		release := make(chan struct{})
		n := &node{
			verify: func(body []byte, _ string, _ time.Time) (ev reconcile.Event, known bool, err error) {
				ev = reconcile.Event{ID: string(body), Kind: reconcile.Joined}
				if ev.ID != "EV_USUAL" {
					ev.Participant.Attributes = attributes
				}
				return ev, true, nil
			},
			deliver: func(_ context.Context, ev reconcile.Event) error {
				if ev.ID == "EV_LARGE1" {
					<-release
				}
				return nil
			}}
		r := newRig(t, n, nil)
		first := make(chan int)
		go func() { first <- r.hook("EV_LARGE1").Code }()
		synctest.Wait()
		if w := r.hook("EV_LARGE2"); w.Code != 503 {
			t.Errorf("a second event of that size got %d", w.Code)
		}
		want(t, r.hook("EV_USUAL"), 200, success)
		close(release)
		if code := <-first; code != 200 {
			t.Errorf("the first got %d", code)
		}
	})
}

// TestLargeBodiesLeaveRoom checks that larger bodies may take three quarters of the bytes, and that they give them back.
func TestLargeBodiesLeaveRoom(t *testing.T) {
	h := newHeavy(8 << 20)
	counted, done := h.body(strings.NewReader(strings.Repeat(" ", 4<<20)))
	b := &bodyMemory{limit: 64 << 20}
	_, free, err := b.read(counted, -1, reconcile.MaxWebhookBytes)
	if err != errOverMemory {
		t.Errorf("a body of half the bytes, which takes twice its size as it grows: %v", err)
	}
	free()
	done()
	if got := h.reading.Load(); got != 0 {
		t.Errorf("%d bytes were not given back", got)
	}
	counted, done = h.body(strings.NewReader(strings.Repeat(" ", lightBytes)))
	defer done()
	if _, free, err = b.read(counted, -1, reconcile.MaxWebhookBytes); err != nil || h.reading.Load() != 0 {
		t.Errorf("a light body counts %d bytes: %v", h.reading.Load(), err)
	}
	free()
}
