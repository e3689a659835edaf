package demo

import (
	"errors"
	"strings"
	"testing"
)

func TestAJoinErrorShowsNoToken(t *testing.T) {
	t.Parallel()
	said := token.ReplaceAllString(errors.New("join: invalid token: eyJhbGciOiJIUzI1NiIs.eyJpc3MiOiJr.c2ln-_x, error; "+
		"Get https://h/rtc?access_token=eyJx.y.z&sdk=go").Error(), "[redacted]")
	for _, secret := range []string{"eyJ", "c2ln", "y.z"} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is still in %s", secret, said)
		}
	}
	if !strings.Contains(said, "invalid token") || !strings.Contains(said, "sdk=go") {
		t.Errorf("too much went: %s", said)
	}
}
