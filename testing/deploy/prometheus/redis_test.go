package prometheus

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestRealRedis checks that alerts fire when a real node's Redis, or the way to it, is slow, breaks or hangs.
func TestRealRedis(t *testing.T) {
	t.Parallel()
	// The processors determine how many connections to Redis there are.
	w := newAlone(t, func(o *nodetest.Options) { o.Env = append(o.Env, "GOMAXPROCS=2") })
	w.suffer(t, redisOutages())
}

func redisOutages() []outage {
	return []outage{
		{name: "connections break", alerts: []string{"RollcallOutcomesUnknown"}, run: connectionsBreak},
		{name: "slow", alerts: []string{"RollcallScheduleStopped", "RollcallCommitsSlow", "RollcallWebhooksSlow", "RollcallConvergenceSlow"}, run: allSlow},
		{name: "Redis hangs", alerts: []string{"RollcallRedisPoolExhausted"}, run: redisHangs},
	}
}

func connectionsBreak(t *testing.T, w *world, o outage) {
	w.gate.breaks(5)
	defer w.gate.breaks(0)
	o.fires(t, w, 15*time.Minute, nil)
	w.gate.breaks(0)
	w.settle()
}

// allSlow has webhooks that wait long in LiveKit's queue and then for Redis, while no sync repairs what they report.
func allSlow(t *testing.T, w *world, o outage) {
	n := w.nodes[0]
	w.post(n, "/api/sync-rooms", "", `{"action":"stop-service"}`)
	w.await("the schedule has stopped", "rollcall_schedule_running", nil, isZero, n)
	w.gate.slow(1200 * time.Millisecond)
	w.livekit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Late: 6 * time.Second} })
	w.look(0, nil) // its webhooks arrive in the next look
	o.fires(t, w, 20*time.Minute, nil)
	w.livekit.SetFate(nil)
	w.gate.slow(0)
	w.post(n, "/api/sync-rooms", "", `{"action":"start-service"}`)
	w.settle()
}

// redisHangs reads rooms while Redis does not answer.
func redisHangs(t *testing.T, w *world, o outage) {
	w.redis.Pause()
	var reads sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	for range 100 {
		reads.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.nodes[0].URL()+"/api/rooms", nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	reads.Wait()
	if err := o.evaluate(t, w.calm, w.glance(2*time.Minute)); err != nil {
		t.Error(err)
	}
	w.redis.Resume()
	w.settle()
}
