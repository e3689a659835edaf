package prometheus

import (
	"fmt"
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
	t.Run("reference", func(t *testing.T) { checkReference(t, w) })
	t.Run("promlint", func(t *testing.T) {
		leading, _ := w.roles()
		var all []*dto.MetricFamily
		for name, f := range leading {
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

	var healthy phase
	if t.Run("healthy", func(t *testing.T) { healthy = w.healthy(t) }) {
		w.outages(t, healthy)
	}
}

// looks is how often a state is looked at before the test fails. A look takes 4 s and stands for many minutes, so a stall of a busy machine in it
// counts as one that never ends: an election, a slow sync, a webhook that gets 503. Rules that are wrong fail in every look.
const looks = 10

// retry calls look until it returns nil, at most looks times.
func retry(t *testing.T, what string, look func() error) {
	t.Helper()
	for n := 1; ; n++ {
		err := look()
		if err == nil {
			return
		}
		if n == looks {
			t.Fatalf("%s, in each of %d looks: %v", what, looks, err)
		}
		t.Logf("%s: look %d: %v", what, n, err)
	}
}

// slowness returns the alerts that depend on how fast the machine is. They are not expected to be silent on one that also runs other tests.
// TestAlertsAreSilent and TestAlertsFire try them with series that are made.
func slowness() []string {
	return []string{"RollcallCommitsSlow", "RollcallWebhooksSlow", "RollcallConvergenceSlow", "RollcallCyclesSlow", "RollcallSyncsLong"}
}

// healthy checks that the alerts are silent while the cluster is healthy and its leader changes. It returns the time after the change.
func (w *world) healthy(t *testing.T) phase {
	var at []time.Duration
	for after := time.Minute; after < 30*time.Minute; after += 2 * step {
		at = append(at, after)
	}
	var second phase
	retry(t, "alerts fire in a healthy cluster", func() error {
		first := w.look(10 * time.Minute)
		w.changeLeader()
		second = w.look(20 * time.Minute)
		e := expectation{"a real cluster that is healthy", timeline(first, second), at, nil}
		return evaluation(t, fmt.Sprintf(`alertstate="firing",alertname!~%q`, strings.Join(slowness(), "|")), e)
	})
	return second
}

// changeLeader restarts the leader, and waits until another node has led and the cluster is healthy.
func (w *world) changeLeader() {
	w.Helper()
	old := w.leader()
	old.Terminate()
	w.leader()
	old.Start()
	w.settle()
	f := scrapeNode(w.T, old).families
	if !isLeader(f) && (f["rollcall_held_removals"] != nil || f["rollcall_last_cycle_timestamp_seconds"] != nil) && !isLeader(scrapeNode(w.T, old).families) {
		w.Error("the gauges of the leader remain when another node leads")
	}
}

// fires checks that the alerts fire at the end of an outage that follows a healthy time.
func (w *world) fires(t *testing.T, before phase, alerts ...string) {
	t.Helper()
	const lasts = 15 * time.Minute
	retry(t, "alerts do not fire in an outage", func() error {
		outage := w.look(lasts)
		return evaluationOf(t, expectation{strings.Join(alerts, ", "), timeline(before, outage), []time.Duration{before.lasts + lasts - step}, alerts})
	})
}

func (w *world) outages(t *testing.T, healthy phase) {
	zero := func(v float64) bool { return v == 0 }
	t.Run("LiveKit down", func(t *testing.T) {
		w.livekit.Crash()
		// Any node may lead, and syncs may have failed before.
		metric, failed := "rollcall_cycles_total", []string{`kind="sync"`, `outcome="error"`}
		before := w.total(metric, failed, w.nodes...)
		w.await("syncs fail", metric, failed, func(total float64) bool { return total > before }, w.nodes...)
		w.fires(t, healthy, "RollcallNoGoodSync", "RollcallSyncsFail", "RollcallLiveKitFails")
		w.livekit.Start(true)
		w.settle()
	})
	t.Run("Redis down", func(t *testing.T) {
		w.redis.Stop()
		w.await("Redis is down for all", "rollcall_redis_shard_up", nil, zero, w.nodes...)
		w.await("nobody is ready", "rollcall_ready", nil, zero, w.nodes...)
		w.fires(t, healthy, "RollcallRedisDown", "RollcallNotReady", "RollcallNoGoodSync", "RollcallWebhooksUnavailable")
		w.redis.Restart(true)
		w.settle()
	})
	t.Run("no quorum", func(t *testing.T) {
		left := w.nodes[0]
		w.nodes[1].Kill()
		w.nodes[2].Kill()
		w.await("no leader", "rollcall_cluster_has_leader", nil, zero, left)
		w.fires(t, healthy, "RollcallNoLeader", "RollcallNodeDown", "RollcallNotReady")
	})
}
