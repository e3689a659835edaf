package daemon

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// TestObserver checks that what rooms report is counted, and listed in Redis.
func TestObserver(t *testing.T) {
	o := &redis.UniversalOptions{Addrs: []string{miniredis.RunT(t).Addr()}}
	redisstore.Harden(o)
	store, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.UnixMilli(1795399860000)
	s := newStats("n1", func() time.Time { return now })
	w := observer{newMetrics(prometheus.NewRegistry()), s, store}
	w.Changed(actors.Effect{Room: "r", Cause: reconcile.BySync, At: 9_000, Changes: 3,
		Drift: []reconcile.Drift{{Reason: reconcile.MissedJoin, Identity: "ada", SID: "PA_x", Since: 8_000}, {Reason: reconcile.StaleMetadata}}})
	w.Changed(actors.Effect{Room: "r", Cause: reconcile.ByWebhook, At: 9_000, Changes: 1, Since: 8_000}) // has whole seconds only: not in the median
	now = now.Add(statsInterval)
	if p := s.Stats().Points[0]; p.Changes != 4 || p.Drift != 2 || p.Converge != 1_000 {
		t.Errorf("the point is %+v", p)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		got, err := store.Drift(t.Context())
		if err == nil && len(got) == 2 && got[1] == (reconcile.DriftEntry{Time: 9_000, Room: "r", Reason: reconcile.MissedJoin, Identity: "ada", SID: "PA_x",
			Cause: reconcile.BySync, Node: "n1"}) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the list of drift is %+v, %v", got, err)
		}
	}
}
