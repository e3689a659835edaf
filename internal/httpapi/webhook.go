package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// MaxWebhookBytes is the largest webhook body that is read.
const MaxWebhookBytes = 8 << 20

// Retry-After in seconds. LiveKit makes five attempts and lets Retry-After replace its back-off: soon lets a short hitch
// cost little, late stretches the attempts that are left over a longer outage.
const (
	soon = 1
	late = 4
)

// verdict is what became of a webhook: its name in the metrics, and the answer (nil for success).
type verdict struct {
	outcome string
	answer  *problem
	cause   error
	why     Cause // of a refusal, where it is known
}

// The outcomes, all that the metric has.
const (
	committed   = "committed"
	ignored     = "ignored" // nothing that concerns a room
	forged      = "unauthorized"
	expired     = "expired"
	malformed   = "malformed"
	tooLarge    = "too_large"
	tooSlow     = "too_slow"
	broken      = "broken_off"
	overloaded  = "overloaded"
	unavailable = "unavailable"
	wrongPath   = "wrong_path" // a webhook to another path of this node
)

// webhooks takes LiveKit's deliveries in.
type webhooks struct {
	verifier  Verifier
	deliverer Deliverer
	within    time.Duration // from receipt to answer
	places    places
	bytes     *budget
	heavy     *heavy
	seen      *repeats
	metrics   *metrics
	log       *slog.Logger
	refused   limiters
	failed    seldom
	dropped   seldom
	lost      func(events int)
}

// serve answers one delivery. Statuses that LiveKit does not retry lose the event for good, so they are for what a later
// attempt could not mend: a wrong signature, a body that is no webhook or too large. All else is 503.
func (h *webhooks) serve(c *call) (any, error) {
	event, v := kindUnverified, verdict{}
	defer func() { h.account(c, event, v) }()
	// Before it takes a place and any memory: strangers who send slowly must not keep LiveKit out.
	if err := h.verifier.Admit(oneToken(c.r.Header), c.at); err != nil {
		v = refusedAs(err)
		return nil, v.answer
	}
	connOf(c.r).trust()
	if !h.places.take() {
		v = later(overloaded, late, nil)
		return nil, v.answer
	}
	defer h.places.leave()
	part := &heavyPart{heavy: h.heavy}
	defer part.free()
	ev, known, got := h.receive(c, part)
	if got.answer != nil {
		v = got
		return nil, v.answer
	}
	event = kindName(ev.Kind, known)
	if !known {
		v = verdict{outcome: ignored}
		return webhookAnswer{Success: true}, nil
	}
	if v = h.deliver(c, ev); v.answer != nil {
		return nil, v.answer
	}
	return webhookAnswer{Success: true}, nil
}

type webhookAnswer struct {
	Success bool `json:"success"`
}

// receive reads and verifies. The body is let go before the event waits for its commit; a large event keeps its part until then.
func (h *webhooks) receive(c *call, part *heavyPart) (reconcile.Event, bool, verdict) {
	counted, done := h.heavy.body(c.r.Body)
	defer done()
	body, free, err := h.bytes.read(counted, c.r.ContentLength, MaxWebhookBytes)
	defer free()
	if err != nil {
		return reconcile.Event{}, false, unread(c, err)
	}
	h.metrics.received.Add(float64(len(body)))
	turnBy := c.at.Add(h.within / 2)
	if size := int64(len(body)); size > lightBytes && part.take(c.r.Context(), size, turnBy) != nil {
		return reconcile.Event{}, false, later(overloaded, late, errHeavy)
	}
	ev, known, err := h.verifier.Verify(body, c.r.Header.Get("Authorization"), c.at)
	if err != nil {
		return reconcile.Event{}, false, refusedAs(err)
	}
	if size := weight(ev); size > lightEvent && part.take(c.r.Context(), size, turnBy) != nil {
		return reconcile.Event{}, false, later(overloaded, late, errHeavy)
	}
	h.noteDropped(c, h.verifier.Dropped(body)) // last: what is refused comes again
	return ev, known, verdict{}
}

// noteDropped tells of events that LiveKit has dropped: nothing says of which rooms they were.
func (h *webhooks) noteDropped(c *call, n int) {
	if n <= 0 {
		return
	}
	h.metrics.dropped.Add(float64(n))
	if skipped, ok := h.dropped.now(c.at); ok {
		h.log.Warn("LiveKit has dropped webhooks, which this node was too slow for or could not be reached for; a sync is asked for",
			"events", n, "alike", skipped)
	}
	if h.lost != nil {
		h.lost(n)
	}
}

// deliver commits. LiveKit hanging up does not stop it: a LiveKit that was killed right after sending will not send again.
func (h *webhooks) deliver(c *call, ev reconcile.Event) verdict {
	if h.seen.again(ev.ID) {
		h.metrics.duplicates.Inc()
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(c.r.Context()), c.at.Add(h.within))
	defer cancel()
	err := h.deliverer.Deliver(ctx, ev)
	switch {
	case err == nil:
		return verdict{outcome: committed}
	case errors.Is(err, ErrExpired), errors.Is(err, ErrMalformed):
		return refusedAs(err)
	}
	return later(unavailable, retryAfter(ev.CreatedAt, time.Now()), err)
}

// retryAfter is in seconds, by the age at the answer of an event of createdAt (Unix seconds). Those are whole seconds, so
// an event may be taken for up to a second older than it is and never for younger: that errs towards the longer wait,
// which outlasts the longer outage. An event from the future, by more than clocks should differ, is of unknown age.
func retryAfter(createdAt int64, now time.Time) int {
	const slack, young = -time.Second, 2 * time.Second
	if age := now.Sub(time.Unix(createdAt, 0)); age >= slack && age < young {
		return soon
	}
	return late
}

func later(outcome string, retry int, cause error) verdict {
	return verdict{outcome: outcome, cause: cause,
		answer: &problem{status: http.StatusServiceUnavailable, text: "Cannot commit now; send it again", retry: retry}}
}

// refusedAs judges what Verify, or a room, said of a delivery.
func refusedAs(err error) verdict {
	v := verdict{}
	switch {
	case errors.Is(err, ErrUnauthorized):
		v = verdict{outcome: forged, answer: unauthorized(""), cause: ErrUnauthorized}
	case errors.Is(err, ErrExpired):
		v = verdict{outcome: expired, answer: unauthorized(""), cause: ErrExpired}
	case errors.Is(err, ErrMalformed):
		v = verdict{outcome: malformed, answer: refuse(http.StatusBadRequest, "The body is not a webhook of LiveKit"), cause: ErrMalformed}
	default:
		return later(unavailable, late, errVerifier)
	}
	var why *Rejected
	if errors.As(err, &why) {
		v.cause, v.why = why, why.Cause
	}
	return v
}

// errVerifier stands for what the verifier did not explain; its own text might quote the body.
var errVerifier = errors.New("the verifier failed")

// unread judges a body that could not be read. The connection has the rest of it still to come: it ends with the answer.
func unread(c *call, err error) verdict {
	c.w.Header().Set("Connection", "close")
	switch {
	case errors.Is(err, errTooLarge):
		return verdict{outcome: tooLarge, answer: refuse(http.StatusRequestEntityTooLarge, "The body is larger than 8 MiB"), cause: err}
	case errors.Is(err, errNoRoom):
		return later(overloaded, late, nil)
	case errors.Is(err, errTooSlow):
		return later(tooSlow, late, err)
	}
	return later(broken, late, err)
}

// account counts and, seldom, logs: each kind of refusal by itself. Neither a body nor a name is in it, nor what a verifier did not mean
// for a log.
func (h *webhooks) account(c *call, event string, v verdict) {
	if v.outcome == "" {
		v.outcome = "panicked"
	}
	h.metrics.webhooks.WithLabelValues(event, v.outcome).Inc()
	h.metrics.webhookTime.WithLabelValues(v.outcome).Observe(time.Since(c.at).Seconds())
	if v.answer == nil {
		return
	}
	gate, text := &h.failed, "a webhook could not be taken; LiveKit sends it again"
	if v.answer.status < http.StatusInternalServerError {
		gate, text = h.refused.of(v.outcome+string(v.why)), "a webhook was refused for good"
	}
	if skipped, ok := gate.now(c.at); ok {
		h.log.Warn(text, "event", event, "outcome", v.outcome, "err", v.cause, "look_at", lookAt(v), "peer", c.r.RemoteAddr,
			"alike", skipped)
	}
}

// lookAt tells operators where a webhook's trouble mostly lies.
func lookAt(v verdict) string {
	switch v.why {
	case NoToken:
		return "who sends it: LiveKit signs every webhook. If it was LiveKit, a proxy before this node removes the Authorization header"
	case UnknownKey:
		return "webhook.api_key of LiveKit: it must be LIVEKIT_API_KEY, or one of LIVEKIT_KEYS, here"
	case WrongKey:
		return "the secret of that API key: LiveKit's and the one here (LIVEKIT_API_SECRET, or in LIVEKIT_KEYS) differ"
	case OtherBody:
		return "a proxy between LiveKit and this node that changes bodies: the signature is right, and of another body"
	}
	switch v.outcome {
	case forged:
		return "who sends it: the token is none that LiveKit makes for a webhook"
	case malformed:
		return "what sends it: the signature is right, and the body is none that a supported LiveKit sends"
	case expired:
		return "the clocks here and of LiveKit"
	case overloaded:
		if errors.Is(v.cause, errHeavy) {
			return "how large metadata and attributes in LiveKit are; then Redis, and /readyz"
		}
		return "Redis, and /readyz"
	case unavailable:
		return "Redis, and /readyz"
	}
	return "who sends it"
}

// kindUnverified is the kind of an event whose signature was not found right.
const kindUnverified = "unverified"

// kindName is LiveKit's name for the event, from a closed list.
func kindName(k reconcile.EventKind, known bool) string {
	if !known {
		return "other"
	}
	switch k {
	case reconcile.Started:
		return "room_started"
	case reconcile.Finished:
		return "room_finished"
	case reconcile.Joined:
		return "participant_joined"
	case reconcile.Left:
		return "participant_left"
	case reconcile.Aborted:
		return "participant_connection_aborted"
	case reconcile.Track:
		return "track"
	}
	return "other"
}
