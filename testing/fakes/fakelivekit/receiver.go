package fakelivekit

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
)

// Receiver is the receiving end of webhooks. It verifies them with LiveKit's own code and keeps them all. It works for a Fake and
// for the real server.
type Receiver struct {
	keys auth.KeyProvider

	mu      sync.Mutex
	got     []Delivery
	answer  func(Delivery) Answer
	changed chan struct{} // closed and replaced at each delivery
}

// Delivery is one request that a Receiver got. A retry is a Delivery of its own.
type Delivery struct {
	At    time.Time
	Event *livekit.WebhookEvent // nil if Err is set
	Body  []byte
	Token string // the Authorization header
	Type  string // the Content-Type header
	Err   error  // result of LiveKit's own verification
}

// Answer is how a Receiver answers. The zero value is 200 at once.
type Answer struct {
	Status     int
	RetryAfter string
	Delay      time.Duration
}

// NewReceiver returns a Receiver for webhooks signed with the key; Fakes and livekittest's servers use DefaultKey and DefaultSecret.
func NewReceiver(key, secret string) *Receiver {
	return &Receiver{keys: auth.NewSimpleKeyProvider(key, secret), changed: make(chan struct{})}
}

// SetAnswer sets a rule for all further deliveries; nil answers 200. An unverifiable delivery gets 401 whatever the rule.
func (r *Receiver) SetAnswer(rule func(Delivery) Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = rule
}

// ServeHTTP receives a webhook.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d := r.read(req)
	answer := r.keep(d)
	if answer.Delay > 0 {
		sleep(req.Context(), answer.Delay)
	}
	if answer.RetryAfter != "" {
		w.Header().Set("Retry-After", answer.RetryAfter)
	}
	w.WriteHeader(answer.Status)
}

func (r *Receiver) read(req *http.Request) Delivery {
	d := Delivery{At: time.Now(), Token: req.Header.Get("Authorization"), Type: req.Header.Get("Content-Type")}
	if d.Body, d.Err = io.ReadAll(req.Body); d.Err != nil {
		return d
	}
	req.Body = io.NopCloser(bytes.NewReader(d.Body))
	d.Event, d.Err = webhook.ReceiveWebhookEvent(req, r.keys)
	return d
}

func (r *Receiver) keep(d Delivery) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, d)
	close(r.changed)
	r.changed = make(chan struct{})
	if d.Err != nil {
		return Answer{Status: http.StatusUnauthorized}
	}
	var answer Answer
	if r.answer != nil {
		answer = r.answer(d)
	}
	answer.Status = cmp.Or(answer.Status, http.StatusOK)
	return answer
}

// Deliveries returns the room's deliveries so far, in order of arrival; for the room "" it returns all, including the
// unverifiable.
func (r *Receiver) Deliveries(room string) []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.got), func(d Delivery) bool { return room != "" && d.Event.GetRoom().GetName() != room })
}

// Wait returns the room's deliveries as soon as they satisfy ok. When ctx ends first, it returns an error that lists them.
func (r *Receiver) Wait(ctx context.Context, room string, ok func([]Delivery) bool) ([]Delivery, error) {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		got := r.Deliveries(room)
		if ok(got) {
			return got, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return got, fmt.Errorf("webhooks of room %q did not come as hoped, only %v: %w", room, Names(got), ctx.Err())
		}
	}
}

// Names returns the events' names, "?" for one that could not be verified.
func Names(deliveries []Delivery) []string {
	var names []string
	for _, d := range deliveries {
		if d.Err != nil {
			names = append(names, "?")
			continue
		}
		names = append(names, d.Event.Event)
	}
	return names
}
