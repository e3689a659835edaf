package livekit

import (
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestRefusalsSayWhich checks that each refusal names its cause, since each is for somebody else to fix.
func TestRefusalsSayWhich(t *testing.T) {
	v, body := newVerifier(t), []byte(`{"event":"room_started"}`)
	good := webhookClaims(body)
	stranger := webhookClaims(body)
	stranger["iss"] = "stranger"
	for _, c := range []struct {
		authorization string
		body          []byte
		want          error
	}{
		{"", body, ErrNoToken},
		{sign(t, stranger), body, ErrUnknownKey},
		{signAs(t, jwt.SigningMethodHS256, good, []byte(strings.Repeat("wrong", 8))), body, ErrSignature},
		{sign(t, good), append([]byte(" "), body...), ErrOtherBody},
	} {
		_, _, err := v.Verify(c.body, c.authorization, at)
		var refusal *Refusal
		if !errors.As(err, &refusal) || !errors.Is(err, ErrUnauthorized) || refusal.Why == "" {
			t.Fatalf("%v: %v", c.want, err)
		}
		for _, cause := range []error{ErrNoToken, ErrUnknownKey, ErrSignature, ErrOtherBody, ErrClock, ErrMalformed} {
			if errors.Is(err, cause) != (cause == c.want) {
				t.Errorf("%v is %v: %v", err, cause, errors.Is(err, cause))
			}
		}
	}
}

// TestWhatOldAndOddServersSend checks that the reason of a refusal can be acted on.
func TestWhatOldAndOddServersSend(t *testing.T) {
	for body, words := range map[string]string{
		`{"event":"room_started","room":{"sid":"RM_1","name":"r"}}`:                          "older than 0.15.1",
		`{"event":"room_started","id":"EV","createdAt":"5","room":{"sid":"RM_1"}}`:           "a room without a name",
		`{"event":"room_started","id":"EV","createdAt":"5","room":{"name":"r"}}`:             "a room without a sid",
		`{"event":"participant_joined","createdAt":"5","room":{"sid":"R","name":"r"}}`:       "a participant without a sid",
		`{"event":"room_started","createdAt":"1795399866205","room":{"sid":"R","name":"r"}}`: "not in Unix seconds",
	} {
		_, known, err := readEvent([]byte(body))
		var refusal *Refusal
		if known || !errors.As(err, &refusal) || !errors.Is(err, ErrMalformed) || !strings.Contains(refusal.Why, words) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestDropped(t *testing.T) {
	for body, want := range map[string]int{
		`{"event":"x"}`: 0, `{"numDropped":3}`: 3, `{"numDropped":"3"}`: 3, `{"num_dropped":2}`: 2, `{"numDropped":-1}`: 0,
		`{"numDropped":1e99}`: 0, `{"room":{"metadata":"numDropped"}}`: 0, `{"numDropped":{}}`: 0, `"numDropped":1`: 0,
	} {
		if got := Dropped([]byte(body)); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
}
