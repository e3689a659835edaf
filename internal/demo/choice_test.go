package demo

import (
	"errors"
	"strings"
	"testing"
)

// TestForeignLiveKitIsNamedWithItsReason checks that dev says which LiveKit it uses, and what made it use that one.
func TestForeignLiveKitIsNamedWithItsReason(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"env LIVEKIT_URL":    "LIVEKIT_URL is set, so dev does not start its own LiveKit: unset it",
		"env LIVEKIT_HOST":   "LIVEKIT_HOST is set, so dev does not start its own LiveKit: unset it",
		"flag":               "a flag names it",
		"file rollcall.yaml": "rollcall.yaml names it",
	} {
		if got := (Choice{LiveKit: source}).ForeignLiveKit("https://p.livekit.cloud", "http://h/hook"); !strings.Contains(got, want) || !strings.Contains(got, "https://p.livekit.cloud") {
			t.Errorf("%s: %q", source, got)
		}
	}
}

// TestParticipantsAreIntroduced checks the line about the participants, also when there are none.
func TestParticipantsAreIntroduced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n       int
		foreign bool
		want    string
	}{
		{4, false, "4, who come and go in dev-lobby"},
		{2, true, "2, who come and go in dev-lobby"},
		{0, true, "none of dev's in your LiveKit; --participants N lets N test participants join there"},
		{0, false, "none of dev's; --participants N"},
	} {
		if got := Participants(c.n, c.foreign); !strings.Contains(got, c.want) {
			t.Errorf("%d, %v: %q", c.n, c.foreign, got)
		}
	}
}

// TestExplainNamesRedisSource checks that a Redis that does not answer is explained by the variable that names it, and other errors are not.
func TestExplainNamesRedisSource(t *testing.T) {
	t.Parallel()
	redis, other := errors.New("--redis-url, REDIS_URL: connection refused"), errors.New("another program has this port")
	if got := (Choice{Redis: "env REDIS_URL"}).Explain(redis); !errors.Is(got, redis) || !strings.Contains(got.Error(), "REDIS_URL is set, so dev does not start its own Redis: unset it") {
		t.Errorf("Redis is away: %v", got)
	}
	if got := (Choice{Redis: "env REDIS_URL"}).Explain(other); !errors.Is(got, other) || got.Error() != other.Error() {
		t.Errorf("another error: %v", got)
	}
	if got := (Choice{Redis: "default"}).Explain(redis); got.Error() != redis.Error() {
		t.Errorf("its own Redis: %v", got)
	}
}
