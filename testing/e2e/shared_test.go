package e2e

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

// TestSharedRedis lets LiveKit keep its rooms in the Redis that rollcall writes to. Redis itself denies rollcall all keys except
// its own, and while LiveKit is down its keys stay unchanged, whatever rollcall is asked to do.
func TestSharedRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{shared: true, every: "1s"})
	p := w.spawn(t, "a", who{Identity: "alice"})
	w.join(t, "b", who{Identity: "bob"})
	w.create(t, "c")
	w.converges()
	p.Kill()
	w.livekit.Kill()
	theirs := func(key string) bool {
		// LiveKit's claims of requests expire by themselves.
		return !strings.HasPrefix(key, "rooms:") && w.redis.Client().PTTL(w.ctx(), key).Val() < 0
	}
	before := w.dumps(theirs)
	if before["rooms"] == "" {
		t.Fatalf("LiveKit does not keep its rooms here: %d keys", len(before))
	}
	for _, o := range []client.ActionOptions{{}, {DryRun: true}, {Force: true}} {
		if _, err := w.client.FullSync(w.ctx(), o); err != nil {
			t.Errorf("full-sync %+v: %v", o, err)
		}
	}
	w.Terminate()
	w.Up()
	w.cycleAfter(time.Now())
	if now := w.dumps(theirs); !maps.Equal(now, before) {
		t.Errorf("LiveKit's keys changed: %q, were %q", now, before)
	}
	if err := w.has([]string{"a", "b", "c"}); err != nil {
		t.Errorf("with LiveKit down: %v", err)
	}
	// The rooms are still there when LiveKit is back, and alice is a phantom in its API.
	if err := w.livekit.Restart(w.ctx()); err != nil {
		t.Fatal(err)
	}
	mark := time.Now()
	w.cycleAfter(mark)
	w.converges()
}
