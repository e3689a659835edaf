package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Values of Retry-After in seconds. LiveKit makes five attempts and lets Retry-After replace its back-off: soon makes a
// short outage cost little, late stretches the remaining attempts over a longer one.
const (
	soon = 1
	late = 4
)

// verdict is the outcome of a webhook: its name in the metrics, and the answer (nil for success).
type verdict struct {
	outcome string
	answer  *problem
	cause   error
	why     SignatureFault // of a refusal, if it is known
}

// The outcomes: all values of the metric's label.
const (
	committed           = "committed"
	ignored             = "ignored" // nothing that concerns a room
	unauthorizedWebhook = "unauthorized"
	expired             = "expired"
	malformed           = "malformed"
	tooLarge            = "too_large"
	tooSlow             = "too_slow"
	broken              = "broken_off"
	overloaded          = "overloaded"
	unavailable         = "unavailable"
	wrongPath           = "wrong_path" // a webhook that was sent to another path of this node
	panicked            = "panicked"
)

// webhooks receives LiveKit's deliveries.
type webhooks struct {
	verifier  Verifier
	deliverer Deliverer
	within    time.Duration   // from receipt to answer
	by        *wait.Deadlines // of the commits
	slots     adaptiveSemaphore
	refusals  chan struct{} // has room for refusalsAtOnce
	bytes     *bodyMemory
	heavy     *heavy
	metrics   *metrics
	log       *slog.Logger
	refused   limiters
	failed    logLimiter
	dropped   logLimiter
	lost      func(events int)
}

// delivery is one webhook as it came.
type delivery interface {
	// peer is who sent it.
	peer() string
	// trust notes that its token is LiveKit's.
	trust()
	// body returns the body, and a function that gives it back, which is never nil.
	body(*webhooks) (body []byte, done func(), err error)
}

// request is a webhook that net/http has read.
type request struct{ *call }

func (r request) peer() string { return r.r.RemoteAddr }
func (r request) trust()       { connOf(r.r).trust() }
func (r request) body(h *webhooks) (body []byte, done func(), err error) {
	counted, counts := h.heavy.body(r.r.Body)
	body, free, err := h.bytes.read(counted, r.r.ContentLength, reconcile.MaxWebhookBytes)
	if err != nil {
		r.w.Header().Set("Connection", "close") // the rest of the body is still to come
	}
	return body, func() { free(); counts() }, err
}

// serve answers one delivery that net/http has read.
func (h *webhooks) serve(c *call) (any, error) {
	if v := h.take(c.at, oneToken(c.r.Header), request{c}); v.answer != nil {
		return nil, v.answer
	}
	return webhookAccepted, nil
}

// take verifies and commits one delivery. A status that LiveKit does not retry loses the event permanently, so these are only for what a
// later attempt could not change: a wrong signature, a body that is not a webhook or is too large. Everything else is 503.
func (h *webhooks) take(at time.Time, token string, d delivery) (v verdict) {
	event := kindUnverified
	defer func() { h.account(at, d, event, v) }()
	// A refusal for lack of a slot must cost as little as possible, so this comes first. A stranger's token is checked without
	// waiting for anything, so strangers who send slowly do not keep LiveKit out.
	if !h.slots.acquire() {
		return later(overloaded, late, errNoSlot)
	}
	defer func() { h.slots.release(v.outcome == committed, time.Since(at)) }()
	admission, err := h.verifier.Admit(token, at)
	if err != nil {
		return refusedAs(err)
	}
	d.trust()
	part := &heavyPart{heavy: h.heavy}
	defer part.free()
	ev, known, v := h.receive(at, admission, d, part)
	if v.answer != nil {
		return v
	}
	event = kindName(ev.Kind, known)
	if !known {
		return verdict{outcome: ignored}
	}
	return h.deliver(at, ev)
}

// webhookAccepted is the body of a 200.
var webhookAccepted = json.RawMessage("{\"success\":true}\n")

// receive reads and verifies. The body is released before the event waits for its commit; a large event keeps its share
// until then.
func (h *webhooks) receive(at time.Time, admission Admission, d delivery, part *heavyPart) (reconcile.Event, bool, verdict) {
	body, done, err := d.body(h)
	defer done()
	if err != nil {
		return reconcile.Event{}, false, unread(err)
	}
	h.metrics.received.Add(float64(len(body)))
	turnBy := at.Add(h.within / 2)
	if size := int64(len(body)); size > lightBytes && part.take(size, turnBy) != nil {
		return reconcile.Event{}, false, later(overloaded, late, errHeavy)
	}
	ev, known, err := admission.Event(body)
	if err != nil {
		return reconcile.Event{}, false, refusedAs(err)
	}
	if size := weight(ev); size > lightEvent && part.take(size, turnBy) != nil {
		return reconcile.Event{}, false, later(overloaded, late, errHeavy)
	}
	h.noteDropped(at, h.verifier.Dropped(body)) // last: LiveKit sends again what is refused
	return ev, known, verdict{}
}

// noteDropped reports events that LiveKit has dropped. Nothing says which rooms they belong to.
func (h *webhooks) noteDropped(at time.Time, n int) {
	if n <= 0 {
		return
	}
	h.metrics.dropped.Add(float64(n))
	if skipped, ok := h.dropped.now(at); ok {
		h.log.Warn("LiveKit has dropped webhooks because this node was too slow or unreachable; a sync is requested",
			"events", n, "suppressed", skipped)
	}
	if h.lost != nil {
		h.lost(n)
	}
}

// deliver commits the event. It continues if LiveKit hangs up: a LiveKit that was killed right after sending will not send
// again.
func (h *webhooks) deliver(at time.Time, ev reconcile.Event) verdict {
	err := h.deliverer.Deliver(h.by.At(at.Add(h.within)), ev)
	switch {
	case err == nil:
		return verdict{outcome: committed}
	case errors.Is(err, ErrExpired), errors.Is(err, ErrMalformed):
		return refusedAs(err)
	}
	return later(unavailable, retryAfter(ev.CreatedAt, time.Now()), err)
}

// retryAfter returns seconds, according to the event's age at the time of the answer. createdAt is in whole Unix seconds, so
// an event may seem up to a second older than it is and never younger. That errs towards the longer wait, which outlasts the
// longer outage. The age of an event that is further in the future than clocks should differ is unknown.
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

// refusedAs returns the verdict for an error of Verifier.Admit, of Admission.Event or of a room.
func refusedAs(err error) verdict {
	v := verdict{}
	switch {
	case errors.Is(err, ErrUnauthorized):
		v = verdict{outcome: unauthorizedWebhook, answer: unauthorized("", "Unauthorized"), cause: ErrUnauthorized}
	case errors.Is(err, ErrExpired):
		v = verdict{outcome: expired, answer: unauthorized("", "Unauthorized"), cause: ErrExpired}
	case errors.Is(err, ErrMalformed):
		v = verdict{outcome: malformed, answer: refuse(http.StatusBadRequest, "The body is not a webhook of LiveKit"), cause: ErrMalformed}
	default:
		return later(unavailable, late, errVerifier)
	}
	if why, ok := errors.AsType[*Rejected](err); ok {
		v.cause, v.why = why, why.Fault
	}
	return v
}

// errNoSlot means that as many webhooks are in flight as this node can process in time.
var errNoSlot = errors.New("as many webhooks are in flight as this node can process in time")

// errVerifier replaces an error that the verifier did not classify, whose text might quote the body.
var errVerifier = errors.New("the verifier failed")

// unread returns the verdict for a body that could not be read.
func unread(err error) verdict {
	switch {
	case errors.Is(err, errTooLarge):
		return verdict{outcome: tooLarge, answer: refuse(http.StatusRequestEntityTooLarge, "The body is larger than 8 MiB"), cause: err}
	case errors.Is(err, errOverMemory):
		return later(overloaded, late, err)
	case errors.Is(err, errTooSlow):
		return later(tooSlow, late, err)
	}
	return later(broken, late, err)
}

// account counts the outcome and logs failures, rate-limited for each kind of refusal. The log contains neither a body nor a
// name, nor any text that the verifier did not intend for a log.
func (h *webhooks) account(at time.Time, d delivery, event string, v verdict) {
	v.outcome = cmp.Or(v.outcome, panicked)
	h.metrics.webhook(event, v.outcome, time.Since(at))
	if v.answer == nil {
		return
	}
	gate, text := &h.failed, "a webhook could not be accepted; LiveKit sends it again"
	if v.answer.status < http.StatusInternalServerError {
		gate, text = h.refused.of(v.outcome+string(v.why)), "a webhook was refused and is lost"
	}
	if skipped, ok := gate.now(at); ok {
		h.log.Warn(text, "event", event, "outcome", v.outcome, "error", v.cause, "look_at", lookAt(v), "peer", d.peer(),
			"suppressed", skipped)
	}
}

// lookAt tells operators where to look for the usual cause of a webhook's failure.
func lookAt(v verdict) string {
	switch v.why {
	case NoToken:
		return "who sends it: LiveKit signs every webhook. If it was LiveKit, a proxy before this node removes the Authorization header"
	case UnknownKey:
		return "webhook.api_key of LiveKit: it must be LIVEKIT_API_KEY, or one of LIVEKIT_KEYS, here"
	case WrongKey:
		return "the secret of that API key: LiveKit's and the one here (LIVEKIT_API_SECRET, or in LIVEKIT_KEYS) differ"
	case OtherBody:
		return "a proxy between LiveKit and this node that changes bodies: the signature is valid, but for another body"
	}
	switch v.outcome {
	case unauthorizedWebhook:
		return "who sends it: LiveKit makes no such token for a webhook"
	case malformed:
		return "what sends it: the signature is valid, but no supported LiveKit sends such a body"
	case expired:
		return "the clocks here and of LiveKit"
	case overloaded:
		if errors.Is(v.cause, errHeavy) {
			return "how large metadata and attributes in LiveKit are; then Redis, and /readyz"
		}
		return "whether this node has as much CPU as docs/sizing.md says, and is not throttled; then Redis, and /readyz"
	case unavailable:
		if errors.Is(v.cause, ErrCluster) {
			return "the other nodes and the network between them: `rollcall cluster`, and /readyz"
		}
		return "Redis, and /readyz"
	}
	return "who sends it"
}

// kindUnverified is the kind of an event whose signature was not found valid.
const kindUnverified = "unverified"

// kindName returns LiveKit's name for the event, from a closed list.
func kindName(k reconcile.EventKind, known bool) string {
	if !known {
		return "other"
	}
	return k.String()
}
