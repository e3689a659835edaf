package prometheus

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestRealCluster scrapes real nodes. It checks the reference, the conventions of Prometheus, and that the rules are silent while the cluster is
// healthy and its leader changes, and fire in real outages.
func TestRealCluster(t *testing.T) {
	t.Parallel()
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

	if t.Run("healthy", func(t *testing.T) { w.calm = w.healthy(t) }) {
		w.suffer(t, clusterOutages())
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
		first := w.look(10*time.Minute, nil)
		w.changeLeader()
		second = w.look(20*time.Minute, nil)
		e := expectation{"a real cluster that is healthy", timeline(first, second), at, nil, nil}
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

// clusterOutages are what TestRealCluster does to three nodes. The last two end them.
func clusterOutages() []outage {
	return []outage{
		{name: "LiveKit down", alerts: []string{"RollcallNoGoodSync", "RollcallSyncsFail", "RollcallLiveKitFails"}, run: liveKitDown},
		{name: "Redis down", alerts: []string{"RollcallRedisDown", "RollcallNotReady", "RollcallNoGoodSync", "RollcallWebhooksUnavailable"}, run: redisDown},
		{name: "a node that none reaches", alerts: []string{"RollcallNodeAway", "RollcallViewsDiffer"}, run: cutOff},
		{name: "a node that one does not reach", alerts: []string{"RollcallNodesCutOff"}, run: cutOffFromOne},
		{name: "elections", alerts: []string{"RollcallLeaderChangesOften"}, run: elections},
		{name: "two versions", alerts: []string{"RollcallVersionsDiffer"}, run: twoVersions, deploy: true},
		{name: "no quorum", alerts: []string{"RollcallNoLeader", "RollcallNodeDown", "RollcallNotReady"}, run: noQuorum},
		{name: "no node", alerts: []string{"RollcallMissing"}, run: noNode},
	}
}

func isZero(v float64) bool { return v == 0 }

func liveKitDown(t *testing.T, w *world, o outage) {
	w.livekit.Crash()
	// Any node may lead, and syncs may have failed before.
	metric, failed := "rollcall_cycles_total", []string{`kind="sync"`, `outcome="error"`}
	before := w.total(metric, failed, w.nodes...)
	w.await("syncs fail", metric, failed, func(total float64) bool { return total > before }, w.nodes...)
	o.fires(t, w, 15*time.Minute, nil)
	w.livekit.Start(true)
	w.settle()
}

func redisDown(t *testing.T, w *world, o outage) {
	w.redis.Stop()
	w.await("Redis is down for all", "rollcall_redis_shard_up", nil, isZero, w.nodes...)
	w.await("nobody is ready", "rollcall_ready", nil, isZero, w.nodes...)
	o.fires(t, w, 15*time.Minute, nil)
	w.redis.Restart(true)
	w.settle()
}

// follower returns a node that does not lead and that no gate is in front of. It moves the leadership away from the node with the gate.
func (w *world) follower() *nodetest.Node {
	w.Helper()
	for w.leader() == w.gated {
		w.changeLeader()
	}
	leader := w.leader()
	return w.nodes[slices.IndexFunc(w.nodes, func(n *nodetest.Node) bool { return n != leader && n != w.gated })]
}

func cutOff(t *testing.T, w *world, o outage) {
	w.follower()
	w.gate.refuse(func(net.Addr) bool { return true })
	defer w.gate.refuse(nil)
	others := slices.DeleteFunc(slices.Clone(w.nodes), func(n *nodetest.Node) bool { return n == w.gated })
	w.await("it is in nobody's view", "rollcall_cluster_members", nil, func(total float64) bool { return total == 4 }, others...)
	o.fires(t, w, 10*time.Minute, nil)
	w.gate.refuse(nil)
	w.settle()
}

func cutOffFromOne(t *testing.T, w *world, o outage) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says which process has a connection")
	}
	from := w.follower()
	events := func() {
		for i := range 20 { // of rooms of all nodes
			w.hook(from, event(fmt.Sprintf("cut-%d", i)))
		}
	}
	events()
	w.gate.refuse(func(caller net.Addr) bool { return holds(from.Pid(), caller) })
	defer w.gate.refuse(nil)
	eventually.Nil(w, patience, "it does not reach the other", func() error {
		events()
		if n := w.total("rollcall_unreachable_nodes", nil, from); n != 1 {
			return fmt.Errorf("it does not reach %v nodes", n)
		}
		return nil
	})
	o.fires(t, w, 10*time.Minute, events)
	w.gate.refuse(nil)
	w.settle()
}

// elections lets a leader stop every two minutes.
func elections(t *testing.T, w *world, o outage) {
	phases := []phase{w.calm}
	for range 5 {
		old := w.leader()
		old.Terminate()
		w.leader()
		old.Start()
		w.ready(old)
		phases = append(phases, w.glance(2*time.Minute))
	}
	if err := o.evaluate(t, phases...); err != nil {
		t.Error(err)
	}
	w.settle()
}

func twoVersions(t *testing.T, w *world, o outage) {
	later, err := nodetest.BuildNext(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	n := w.nodes[0]
	n.Terminate()
	n.Use(later)
	n.Start()
	w.settle()
	o.fires(t, w, 70*time.Minute, nil)
	n.Terminate()
	n.Use(os.Getenv(nodetest.BinEnv))
	n.Start()
	w.settle()
}

func noQuorum(t *testing.T, w *world, o outage) {
	left := w.nodes[0]
	w.nodes[1].Kill()
	w.nodes[2].Kill()
	w.await("no leader", "rollcall_cluster_has_leader", nil, isZero, left)
	o.fires(t, w, 15*time.Minute, nil)
}

func noNode(t *testing.T, w *world, o outage) {
	for _, n := range w.nodes {
		n.Kill()
	}
	// For promtool, a series that ends lasts another 5 min.
	if err := o.evaluate(t, w.calm, w.glance(20*time.Minute)); err != nil {
		t.Error(err)
	}
}
