package livekit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// ErrMalformed means that a body is correctly signed, but is not a webhook that LiveKit sends.
var ErrMalformed = errors.New("malformed webhook")

// Verifier verifies webhooks.
type Verifier struct{ keys keyring }

// NewVerifier takes the accepted API keys with their secrets, several during a key rotation. Neither may be empty.
func NewVerifier(keys map[string]string) (*Verifier, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	return &Verifier{keys: ring}, nil
}

// Admission is the token of a webhook, verified: its signature, its times, and that it names a body.
type Admission struct{ claims *claims }

// Admit verifies what needs no body: that the token is a webhook's, with the right signature and time. Access tokens of the same
// key, which every participant has, name no body. Errors are a Refusal: ErrUnauthorized, also ErrClock if it is only late or early.
func (v *Verifier) Admit(authorization string, now time.Time) (*Admission, error) {
	c, err := v.keys.read(authorization, now)
	if err != nil {
		return nil, err
	}
	if c.SHA256 == "" {
		return nil, unauthorized("the token is not a webhook's")
	}
	return &Admission{c}, nil
}

// Event checks a webhook's raw body against its token and reads it. known is false for a genuine
// event that concerns no room (egress, ingress) or that is not known: it has no effect. Errors are a Refusal: ErrUnauthorized or
// ErrMalformed. The body is neither parsed before it is verified nor kept.
func (a *Admission) Event(body []byte) (event reconcile.Event, known bool, err error) {
	sum, digest := sha256.Sum256(body), [44]byte{} // in base64
	base64.StdEncoding.Encode(digest[:], sum[:])
	if subtle.ConstantTimeCompare([]byte(a.claims.SHA256), digest[:]) != 1 {
		return reconcile.Event{}, false, because(ErrOtherBody)
	}
	event, known, err = readEvent(body)
	if err != nil || !known {
		return reconcile.Event{}, false, err
	}
	event.Expires = a.claims.ExpiresAt.UnixMilli()
	return event, true, nil
}

// Verify is Admit and then Event.
func (v *Verifier) Verify(body []byte, authorization string, now time.Time) (event reconcile.Event, known bool, err error) {
	a, err := v.Admit(authorization, now)
	if err != nil {
		return reconcile.Event{}, false, err
	}
	return a.Event(body)
}

func malformed(why string) error { return &Refusal{Kind: ErrMalformed, Why: why} }

// Dropped returns how many events LiveKit says, in a verified webhook, that it dropped before it for this URL, for any room. Versions up to
// 1.13.5 send no such number.
func Dropped(body []byte) int {
	if !bytes.Contains(body, []byte("umDropped")) && !bytes.Contains(body, []byte("um_dropped")) {
		return 0
	}
	var w struct {
		Camel json.Number `json:"numDropped"`
		Snake json.Number `json:"num_dropped"`
	}
	if json.Unmarshal(body, &w) != nil {
		return 0
	}
	n, err := cmp.Or(w.Camel, w.Snake).Int64()
	if err != nil || n < 0 {
		return 0
	}
	return int(min(n, math.MaxInt32))
}
