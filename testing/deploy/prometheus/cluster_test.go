package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// TestRealCluster scrapes real nodes. It checks the reference, the conventions of Prometheus, and that the rules are silent while the cluster is
// healthy and its leader changes, and fire in real outages.
func TestRealCluster(t *testing.T) {
	w := newWorld(t)
	leader := w.leader()
	first := w.look(10 * time.Minute)
	t.Run("reference", func(t *testing.T) { checkReference(t, w, leader) })
	t.Run("promlint", func(t *testing.T) {
		var all []*dto.MetricFamily
		for name, f := range scrapeNode(t, leader).families {
			if strings.HasPrefix(name, "rollcall_") {
				all = append(all, f)
			}
		}
		problems, err := promlint.NewWithMetricFamilies(all).Lint()
		if err != nil || len(all) < 40 {
			t.Errorf("%d metrics: %v", len(all), err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})

	leader.Terminate()
	leader.Start()
	w.settle()
	if w.leader() == leader {
		t.Fatal("the leader has not changed")
	}
	if f := scrapeNode(t, leader).families; f["rollcall_held_removals"] != nil || f["rollcall_last_cycle_timestamp_seconds"] != nil {
		t.Error("the gauges of the leader remain when another node leads")
	}
	second := w.look(20 * time.Minute)
	t.Run("healthy", func(t *testing.T) {
		var at []time.Duration
		for after := time.Minute; after < 30*time.Minute; after += 2 * step {
			at = append(at, after)
		}
		evaluate(t, []expectation{{"a real cluster that is healthy", timeline(first, second), at, nil}})
	})
	w.outages(t, second)
}

// fires checks that the alerts fire at the end of an outage that follows a healthy time.
func fires(t *testing.T, before, outage phase, alerts ...string) {
	t.Helper()
	evaluateOnly(t, expectation{strings.Join(alerts, ", "), timeline(before, outage), []time.Duration{before.lasts + outage.lasts - step}, alerts})
}

func (w *world) outages(t *testing.T, healthy phase) {
	const lasts = 15 * time.Minute
	positive := func(v float64) bool { return v > 0 }
	zero := func(v float64) bool { return v == 0 }
	t.Run("LiveKit down", func(t *testing.T) {
		leader := w.leader()
		w.livekit.Crash()
		w.await("syncs fail", on(leader.ID, "rollcall_cycles_total", `kind="sync"`, `outcome="error"`), positive, leader)
		fires(t, healthy, w.look(lasts), "RollcallNoGoodSync", "RollcallSyncsFail", "RollcallLiveKitFails")
		w.livekit.Start(true)
		w.settle()
	})
	t.Run("Redis down", func(t *testing.T) {
		w.redis.Stop()
		w.await("Redis is down for all", "rollcall_redis_shard_up", zero, w.nodes...)
		w.await("nobody is ready", "rollcall_ready", zero, w.nodes...)
		fires(t, healthy, w.look(lasts), "RollcallRedisDown", "RollcallNotReady", "RollcallNoGoodSync", "RollcallWebhooksUnavailable")
		w.redis.Restart(true)
		w.settle()
	})
	t.Run("no quorum", func(t *testing.T) {
		left := w.nodes[0]
		w.nodes[1].Kill()
		w.nodes[2].Kill()
		w.await("no leader", "rollcall_cluster_has_leader", zero, left)
		fires(t, healthy, w.look(lasts), "RollcallNoLeader", "RollcallNodeDown", "RollcallNotReady")
	})
}
