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

// MaxBody is the largest webhook body that is taken, in bytes. LiveKit's metadata limits allow about 6.7 MB.
const MaxBody = 8 << 20

// ErrMalformed is a body that is signed, but is no webhook that LiveKit sends.
var ErrMalformed = errors.New("malformed webhook")

// Verifier verifies webhooks.
type Verifier struct{ keys keyring }

// NewVerifier takes the accepted API keys with their secrets, none of them empty; several while a key rotates.
func NewVerifier(keys map[string]string) (*Verifier, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	return &Verifier{keys: ring}, nil
}

// Admit checks what needs no body: that the token is a webhook's, with the right signature and time. Access tokens of the same
// key, which every participant has, name no body. Errors are Verify's.
func (v *Verifier) Admit(authorization string, now time.Time) error {
	_, err := v.admit(authorization, now)
	return err
}

func (v *Verifier) admit(authorization string, now time.Time) (*claims, error) {
	c, err := v.keys.read(authorization, now)
	if err != nil {
		return nil, err
	}
	if c.SHA256 == "" {
		return nil, unauthorized("the token is not a webhook's")
	}
	return c, nil
}

// Verify checks a webhook's raw body against the token in its Authorization header and reads it. known is false for a genuine
// event that concerns no room (egress, ingress) or that is not known: it has no effect. Errors are a Refusal: ErrUnauthorized (also
// ErrClock, if it is only late or early) or ErrMalformed. The body is neither parsed before it is verified nor kept.
func (v *Verifier) Verify(body []byte, authorization string, now time.Time) (event reconcile.Event, known bool, err error) {
	c, err := v.admit(authorization, now)
	if err != nil {
		return reconcile.Event{}, false, err
	}
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare([]byte(c.SHA256), []byte(base64.StdEncoding.EncodeToString(sum[:]))) != 1 {
		return reconcile.Event{}, false, because(ErrOtherBody)
	}
	event, known, err = readEvent(body)
	if err != nil || !known {
		return reconcile.Event{}, false, err
	}
	event.Expires = c.ExpiresAt.UnixMilli()
	return event, true, nil
}

func malformed(why string) error { return &Refusal{Kind: ErrMalformed, Why: why} }

// Dropped is how many events LiveKit says, in a verified webhook, that it dropped before it for this URL, of whatever rooms. Versions
// up to 1.13.5 send no such number.
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
