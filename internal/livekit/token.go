package livekit

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	// ErrUnauthorized means a missing, forged, foreign or expired token, or a body other than the one signed.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrClock comes with ErrUnauthorized if only the time was wrong: many of them mean that a clock is off.
	ErrClock = errors.New("outside the token's time (if this goes on, compare the clocks here and of LiveKit)")

	// ErrNoToken, ErrUnknownKey, ErrSignature and ErrOtherBody come with ErrUnauthorized and say what was wrong.
	ErrNoToken    = errors.New("no token in the Authorization header")
	ErrUnknownKey = errors.New("unknown API key")
	ErrSignature  = errors.New("the token's signature is not made by HS256 with the secret of its API key")
	ErrOtherBody  = errors.New("the body is not the one that was signed")
)

// Refusal says why a webhook or a token is refused.
type Refusal struct {
	// Kind is ErrUnauthorized or ErrMalformed.
	Kind error
	// Cause is one of the errors that come with Kind, or nil.
	Cause error
	// Why is for logs: it holds no part of a body, and of a token at most its API key.
	Why string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Kind.Error() + ": " + r.Why }

// Unwrap returns Kind and Cause.
func (r *Refusal) Unwrap() []error { return []error{r.Kind, r.Cause} }

const (
	// leeway is how long after its expiry a token is still accepted; LiveKit's own verifier allows the same.
	leeway = time.Minute
	// skew is how far our clock may be behind LiveKit's. A webhook's token is valid for 5 min from its signing, so our clock may be off by that
	// much either way.
	skew = 5 * time.Minute
	// maxToken bounds what is decoded before a signature is checked, in bytes.
	maxToken = 64 << 10
)

// keyring holds API secrets by API key.
type keyring map[string]*secret

// secret is an API secret. Its hashes are reused.
type secret struct {
	text   []byte
	hashes sync.Pool
}

func newSecret(text string) *secret {
	s := &secret{text: []byte(text)}
	s.hashes.New = func() any { return hmac.New(sha256.New, s.text) }
	return s
}

// sign appends the HMAC-SHA256 of text to to.
func (s *secret) sign(to, text []byte) []byte {
	h := s.hashes.Get().(hash.Hash)
	defer s.hashes.Put(h)
	h.Reset()
	h.Write(text)
	return h.Sum(to)
}

// newKeyring refuses an empty secret, because anyone can sign with it.
func newKeyring(keys map[string]string) (keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no LiveKit API key is configured")
	}
	ring := make(keyring, len(keys))
	for key, secret := range keys {
		if key == "" || secret == "" {
			return nil, fmt.Errorf("the LiveKit API key %q: neither key nor secret may be empty", key)
		}
		ring[key] = newSecret(secret)
	}
	return ring, nil
}

// claims are the parts of LiveKit's tokens that are used here.
type claims struct {
	jwt.RegisteredClaims
	SHA256 string `json:"sha256"`
	Video  struct {
		RoomList  bool   `json:"roomList"`
		RoomAdmin bool   `json:"roomAdmin"`
		Room      string `json:"room"`
	} `json:"video"`
}

// read verifies the token of an Authorization header, with or without "Bearer ". The verifier of livekit/protocol/auth is not used: it reads the
// clock itself and accepts a token without exp.
func (k keyring) read(authorization string, now time.Time) (*claims, error) {
	raw := strings.TrimSpace(authorization)
	if scheme, rest, ok := strings.Cut(raw, " "); ok && strings.EqualFold(scheme, "Bearer") {
		raw = strings.TrimSpace(rest)
	}
	switch {
	case raw == "":
		return nil, because(ErrNoToken)
	case len(raw) > maxToken:
		return nil, unauthorized("the token is too long")
	}
	if c := k.readFast(raw, now); c != nil {
		return c, nil
	}
	return k.readAny(raw, now)
}

// readAny verifies any token; readFast is faster and returns the same for what it accepts.
func (k keyring) readAny(raw string, now time.Time) (*claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(raw, &c, k.secret,
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(skew),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return nil, refusal(err, &c)
	}
	// In the library a float beyond int64 wraps around.
	if s := c.ExpiresAt.Unix(); s <= 0 || s > maxSeconds {
		return nil, unauthorized("the token's expiry is no time")
	}
	if !now.Before(c.ExpiresAt.Add(leeway)) {
		return nil, because(ErrClock)
	}
	return &c, nil
}

func (k keyring) secret(t *jwt.Token) (any, error) {
	if c, ok := t.Claims.(*claims); ok {
		if s := k[c.Issuer]; s != nil {
			return s.text, nil
		}
	}
	return nil, ErrUnknownKey
}

// refusal rewords the library's error without any part of the token other than the name of its key.
func refusal(err error, c *claims) error {
	switch {
	case errors.Is(err, ErrUnknownKey):
		return &Refusal{ErrUnauthorized, ErrUnknownKey, "the token is signed with the unknown API key " + quote(c.Issuer)}
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return because(ErrClock)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return unauthorized("the token has no expiry")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return because(ErrSignature)
	}
	return unauthorized("the token is malformed")
}

func unauthorized(why string) error { return &Refusal{Kind: ErrUnauthorized, Why: why} }

func because(cause error) error { return &Refusal{ErrUnauthorized, cause, cause.Error()} }
