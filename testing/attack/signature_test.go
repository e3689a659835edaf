package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// claims returns the claims of a webhook with that body, changed by pairs of a name and a value; nil removes a claim.
func claims(body string, change ...any) jwt.MapClaims {
	sum, now := sha256.Sum256([]byte(body)), time.Now()
	c := jwt.MapClaims{"iss": fakelivekit.DefaultKey, "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"sha256": base64.StdEncoding.EncodeToString(sum[:])}
	for i := 0; i < len(change); i += 2 {
		if c[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(c, change[i].(string))
		}
	}
	return c
}

func signed(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	raw, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestSignatures checks that a webhook is accepted only with a valid signature of exactly its body by LiveKit's key, within its
// validity.
func TestSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	body, now := joined("mine", "mallory"), time.Now()
	secret := []byte(fakelivekit.DefaultSecret)
	hs256 := func(c jwt.MapClaims) string { return signed(t, jwt.SigningMethodHS256, secret, c) }
	good := hs256(claims(body))
	parts := strings.Split(good, ".")
	raw := func(head, claims string) string {
		h, c := base64.RawURLEncoding.EncodeToString([]byte(head)), base64.RawURLEncoding.EncodeToString([]byte(claims))
		sum, _ := jwt.SigningMethodHS256.Sign(h+"."+c, secret)
		return h + "." + c + "." + base64.RawURLEncoding.EncodeToString(sum)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	join := auth.VideoGrant{RoomJoin: true, Room: "mine"}
	rows := map[string][]string{
		"missing": nil, "empty": {""}, "nonsense": {"nonsense"}, "Basic": {"Basic YTpi"}, "a dot": {"."}, "dots": {".."},
		"the admin token": {adminToken}, "as Bearer": {"Bearer " + adminToken},
		"wrong secret":                  {signed(t, jwt.SigningMethodHS256, []byte("another-secret-of-at-least-32-characters"), claims(body))},
		"empty secret":                  {signed(t, jwt.SigningMethodHS256, []byte{}, claims(body))},
		"unknown key":                   {hs256(claims(body, "iss", "other"))},
		"no key":                        {hs256(claims(body, "iss", nil))},
		"alg none":                      {signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(body))},
		"alg nOnE":                      {raw(`{"alg":"nOnE","typ":"JWT"}`, `{"iss":"devkey"}`)},
		"alg HS384":                     {signed(t, jwt.SigningMethodHS384, secret, claims(body))},
		"alg HS512":                     {signed(t, jwt.SigningMethodHS512, secret, claims(body))},
		"alg RS256":                     {signed(t, jwt.SigningMethodRS256, rsaKey, claims(body))},
		"alg ES256":                     {signed(t, jwt.SigningMethodES256, ecKey, claims(body))},
		"alg twice":                     {raw(`{"alg":"HS256","alg":"none"}`, `{"iss":"devkey"}`)},
		"a critical extension only":     {raw(`{"alg":"HS256","crit":["x"],"x":1}`, `{"iss":"devkey","exp":9999999999}`)},
		"the signature cut":             {parts[0] + "." + parts[1] + "."},
		"another signature":             {parts[0] + "." + parts[1] + "." + strings.Split(hs256(claims("x")), ".")[2]},
		"expired":                       {hs256(claims(body, "exp", now.Add(-2*time.Minute).Unix()))},
		"not yet valid":                 {hs256(claims(body, "nbf", now.Add(20*time.Minute).Unix()))},
		"no exp":                        {hs256(claims(body, "exp", nil))},
		"exp in words":                  {hs256(claims(body, "exp", "never"))},
		"exp beyond int64":              {hs256(claims(body, "exp", 1e30))},
		"exp of zero":                   {hs256(claims(body, "exp", 0))},
		"another body's":                {hs256(claims(joined("mine", "bob")))},
		"no body's":                     {hs256(claims(body, "sha256", nil))},
		"the empty body's":              {hs256(claims(""))},
		"sha256 in hex":                 {hs256(claims(body, "sha256", strings.Repeat("0", 64)))},
		"sha256 as a list":              {hs256(claims(body, "sha256", []string{"x"}))},
		"sha256 twice, the first right": {raw(`{"alg":"HS256"}`, `{"iss":"devkey","exp":9999999999,"sha256":"`+claims(body)["sha256"].(string)+`","sha256":"x"}`)},
		"a token to join":               {token(t, join)},
		"a moderator's":                 {moderator(t, "mine")},
		"one that reads all":            {"Bearer " + reader(t)},
		"two, the first right":          {good, "nonsense"},
		"two, the last right":           {"nonsense", good},
		"one list of two":               {good + ", " + good},
		"very long":                     {strings.Repeat("a", 60_000)},
	}
	w.unchanged(t, func() {
		for name, authorization := range rows {
			a := w.ask(http.MethodPost, webhookURL, "", body, http.Header{"Authorization": authorization})
			if err := a.is(401, 400); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, body := range map[string]string{"a changed body": body + " ", "a cut body": body[:len(body)-1], "no body": ""} {
			if err := w.ask(http.MethodPost, webhookURL, "", body, http.Header{"Authorization": {good}}).is(401); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if err := w.ask(http.MethodPost, webhookURL, "", body, http.Header{"Authorization": {good}}).is(200); err != nil {
		t.Errorf("the right one: %v", err)
	}
	w.unchanged(t, func() { // sending the same again brings nobody back
		w.ask(http.MethodPost, webhookURL, "", body, http.Header{"Authorization": {good}})
	})
}
