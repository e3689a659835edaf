package livekit

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
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
	token, err := c.sign(auth.VideoGrant{RoomList: true}, now)
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
