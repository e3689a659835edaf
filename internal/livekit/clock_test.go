package livekit

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/auth"
)

// TestARequestsTokenAllowsForClocks checks that a token is valid whichever clock is off, by up to five minutes. LiveKit's own verifier allows
// one minute.
func TestARequestsTokenAllowsForClocks(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Host: "http://127.0.0.1:1", Key: testKey, Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1795400000, 0)
	token, err := c.sign(access{RoomList: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	for off, fine := range map[time.Duration]bool{-5 * time.Minute: true, 0: true, 10 * time.Minute: true, -7 * time.Minute: false, 12 * time.Minute: false} {
		_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return []byte(testSecret), nil },
			jwt.WithLeeway(time.Minute), jwt.WithTimeFunc(func() time.Time { return now.Add(off) }))
		if (err == nil) != fine {
			t.Errorf("LiveKit's clock off by %s: %v", off, err)
		}
	}
}

// TestWhatARequestsTokenGrants reads tokens with LiveKit's own verifier.
func TestWhatARequestsTokenGrants(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Host: "http://127.0.0.1:1", Key: testKey, Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []access{{RoomList: true}, {RoomAdmin: true, Room: "a"}, {RoomAdmin: true, Room: "\"<&>\\ \n \u2028 ü"}} {
		token, err := c.sign(want, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := auth.ParseAPIToken(token)
		if err != nil {
			t.Fatal(err)
		}
		_, claims, err := verifier.Verify(testSecret)
		if err != nil || verifier.APIKey() != testKey {
			t.Fatalf("%+v: key %q, %v", want, verifier.APIKey(), err)
		}
		if diff := cmp.Diff(&auth.VideoGrant{RoomList: want.RoomList, RoomAdmin: want.RoomAdmin, Room: want.Room}, claims.Video); diff != "" {
			t.Errorf("%+v grants something else:\n%s", want, diff)
		}
	}
}

// TestANewKeySigns checks that requests after SetKey are signed with the new key.
func TestANewKeySigns(t *testing.T) {
	c, err := New(Options{Host: "http://127.0.0.1:1", Key: "before", Secret: "secret-before"})
	if err != nil {
		t.Fatal(err)
	}
	c.SetKey("after", "secret-after")
	token, err := c.sign(access{RoomList: true}, at)
	if err != nil {
		t.Fatal(err)
	}
	for key, secret := range map[string]string{"before": "secret-before", "after": "secret-after"} {
		tokens, err := NewTokens(map[string]string{key: secret})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(token, at); (err == nil) != (key == "after") {
			t.Errorf("the key %q: %v", key, err)
		}
	}
}
