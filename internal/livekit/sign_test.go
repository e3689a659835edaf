package livekit

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	testKey    = "devkey"
	testSecret = "a-secret-of-at-least-32-characters"
)

// at is the time at which the tests run, shortly after the fixtures were captured.
var at = time.UnixMilli(1795400100000)

// webhookClaims are the claims that LiveKit sends with body at that time.
func webhookClaims(body []byte) jwt.MapClaims {
	sum := sha256.Sum256(body)
	return jwt.MapClaims{
		"iss": testKey, "iat": at.Unix(), "nbf": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(),
		"sha256": base64.StdEncoding.EncodeToString(sum[:]),
	}
}

// with returns changed claims; a nil value removes one.
func with(c jwt.MapClaims, changes jwt.MapClaims) jwt.MapClaims {
	c = maps.Clone(c)
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func sign(t testing.TB, c jwt.Claims) string {
	t.Helper()
	return signAs(t, jwt.SigningMethodHS256, c, []byte(testSecret))
}

func signAs(t testing.TB, m jwt.SigningMethod, c jwt.Claims, key any) string {
	t.Helper()
	s, err := jwt.NewWithClaims(m, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVerifier(t testing.TB) *Verifier {
	t.Helper()
	v, err := NewVerifier(map[string]string{testKey: testSecret, "other": "another-secret-of-at-least-32-chars"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
