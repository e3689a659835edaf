package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// TestCountersBeginAtZero checks that each series of a closed list exists before its first event, and that no event adds a series.
func TestCountersBeginAtZero(t *testing.T) {
	r := prometheus.NewRegistry()
	m := newMetrics(r)
	count := func() map[string]int {
		t.Helper()
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		series := map[string]int{}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "rollcall_") {
				series[f.GetName()] = len(f.Metric)
			}
		}
		return series
	}
	before := count()
	for name, want := range map[string]int{"rollcall_commits_total": 6, "rollcall_commit_failures_total": 5, "rollcall_polls_total": 2,
		"rollcall_livekit_requests_total": 14, "rollcall_livekit_passed_over_total": 2, "rollcall_cycles_total": 4, "rollcall_drift_total": 8,
		"rollcall_converge_seconds": 3, "rollcall_cycle_seconds": 2, "rollcall_room_crashes_total": 1} {
		if before[name] != want {
			t.Errorf("%s begins with %d series, want %d", name, before[name], want)
		}
	}
	for _, err := range []error{reconcile.StaleOwner, reconcile.Split, reconcile.Conflict, reconcile.StaleLeader, errors.New("lost")} {
		m.Refused(err)
	}
	for _, cause := range reconcile.Causes() {
		m.Committed(cause, true, time.Second)
		m.Committed(cause, false, time.Second)
	}
	m.CycleEnded(fsm.KindSync, reconcile.Report{Errors: 1, Drift: map[reconcile.Reason]int{reconcile.Ghost: 1}})
	m.Polled(true)
	for name, n := range count() {
		if n != before[name] {
			t.Errorf("%s had %d series, and has %d", name, before[name], n)
		}
	}
}

// TestLeaderGauges checks that a node exports the gauges of cycles only while it leads, and only about its own present term.
func TestLeaderGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeaderMetrics()
		var since time.Time
		state := fsm.State{}
		l.leads = func() (time.Time, fsm.State) { return since, state }
		shows := func(when string, want ...string) {
			t.Helper()
			lines := "\n"
			if len(want) > 0 {
				lines = strings.Join(want, "\n") + "\n"
			}
			if err := testutil.CollectAndCompare(l, strings.NewReader(lines), "rollcall_held_removals", "rollcall_last_cycle_timestamp_seconds"); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		const held = "# HELP rollcall_held_removals Removals that the breaker holds back since the last scheduled sync.\n# TYPE rollcall_held_removals gauge\n"
		l.cycleEnded(fsm.KindSync, reconcile.Report{Scheduled: true, Held: &reconcile.Held{Rooms: 25}})
		shows("without leading")

		time.Sleep(time.Second)
		since = time.Now()
		time.Sleep(time.Second)
		nothing := held + `rollcall_held_removals{what="participants"} 0` + "\n" + `rollcall_held_removals{what="rooms"} 0`
		shows("a new term, without a cycle", nothing)
		if got := testutil.CollectAndCount(l, "rollcall_cluster_leader_since_timestamp_seconds", "rollcall_cycle_slow"); got != 3 {
			t.Errorf("a new leader exports %d series about itself, want 3", got)
		}
		state.Reports = map[fsm.Kind]fsm.Report{fsm.KindSync: {JSON: []byte(`{"scheduled":true,"held":{"rooms":25,"participants":3}}`)}}
		shows("a new term, in which the leader before has left a report", held+`rollcall_held_removals{what="participants"} 3`, `rollcall_held_removals{what="rooms"} 25`)

		l.cycleEnded(fsm.KindSync, reconcile.Report{Scheduled: true, Errors: 1})
		shows("a sync with errors that holds nothing", nothing)
		l.cycleEnded(fsm.KindSync, reconcile.Report{Scheduled: true})
		if got := testutil.CollectAndCount(l, "rollcall_last_cycle_timestamp_seconds"); got != 1 {
			t.Errorf("after a good sync there are %d times, want 1", got)
		}
		since = time.Time{}
		shows("when it leads no longer")
		time.Sleep(time.Second)
		since = time.Now()
		if got := testutil.CollectAndCount(l, "rollcall_last_cycle_timestamp_seconds"); got != 0 {
			t.Error("the next term shows a cycle of an earlier one")
		}
	})
}

// TestSlowCycle checks that the gauge of a slow cycle ends with the next cycle that is not, and with the term.
func TestSlowCycle(t *testing.T) {
	l := newLeaderMetrics()
	since := time.Now()
	l.leads = func() (time.Time, fsm.State) { return since, fsm.State{} }
	slow := func() bool {
		return testutil.CollectAndCompare(l, strings.NewReader("# HELP rollcall_cycle_slow 1 while a cycle cannot end within 5 min, and after one that did not, by kind.\n"+
			"# TYPE rollcall_cycle_slow gauge\nrollcall_cycle_slow{kind=\"cleanup\"} 0\nrollcall_cycle_slow{kind=\"sync\"} 0\n"), "rollcall_cycle_slow") != nil
	}
	l.cycleSlow(fsm.KindSync, true)
	if !slow() {
		t.Error("a slow cycle does not show")
	}
	l.cycleEnded(fsm.KindSync, reconcile.Report{})
	if slow() {
		t.Error("it still shows after one that was not slow")
	}
	l.cycleSlow(fsm.KindSync, true)
	since = time.Now().Add(time.Second)
	if slow() {
		t.Error("it still shows in the next term")
	}
}

// TestOccupancyMetrics checks that rooms and participants are counted as they come, change and go, by the kinds that this build knows.
func TestOccupancyMetrics(t *testing.T) {
	room := func(kinds ...string) *reconcile.State {
		s := &reconcile.State{}
		for i, kind := range kinds {
			s.Roster = append(s.Roster, reconcile.NewMember(reconcile.Participant{Identity: string(rune('a' + i)), Kind: kind}))
		}
		return s
	}
	o := newOccupancyMetrics()
	first := room("STANDARD", "STANDARD", "AGENT", "STANDARD", "HOLOGRAM")
	o.changed(nil, first)
	o.changed(nil, room())
	if o.rooms != 2 || o.kinds["STANDARD"] != 3 || o.kinds["AGENT"] != 1 || o.kinds[otherKind] != 1 {
		t.Errorf("%d rooms, %v", o.rooms, o.kinds)
	}
	o.changed(first, room("SIP"))
	if o.rooms != 2 || o.kinds["STANDARD"] != 0 || o.kinds["SIP"] != 1 {
		t.Errorf("%d rooms, %v", o.rooms, o.kinds)
	}
	o.changed(room("SIP"), nil)
	o.changed(room(), nil)
	if o.rooms != 0 || slices.ContainsFunc([]string{"STANDARD", "AGENT", "SIP", otherKind}, func(k string) bool { return o.kinds[k] != 0 }) {
		t.Errorf("when all are gone: %d rooms, %v", o.rooms, o.kinds)
	}
}

// TestClusterAndStoreMetrics checks that the values go to the metrics of their names.
func TestClusterAndStoreMetrics(t *testing.T) {
	check := func(c prometheus.Collector, want map[string]float64) {
		t.Helper()
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				name := strings.TrimPrefix(f.GetName(), "rollcall_")
				if len(m.Label) > 0 {
					name += " " + m.Label[0].GetValue()
				}
				got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		for name, v := range want {
			if have, ok := got[name]; !ok || have != v {
				t.Errorf("%s is %v, want %v", name, have, v)
			}
		}
	}
	check(newClusterMetrics(func() cluster.Status {
		return cluster.Status{Leader: "n2", Term: 7, Epoch: 9, Members: make([]fsm.Member, 2), SinceContact: 2 * time.Second, ServiceRunning: true, RaftState: "Follower",
			Servers: []cluster.Server{{Voter: true}, {Voter: true}, {}}, Log: cluster.Log{Last: 12, Committed: 11, Applied: 10}}
	}), map[string]float64{"cluster_is_leader": 0, "cluster_has_leader": 1, "cluster_members": 2, "cluster_epoch": 9, "cluster_term": 7, "cluster_leader_contact_seconds": 2,
		"schedule_running": 1, "raft_servers": 3, "raft_voters": 2, "raft_last_index": 12, "raft_commit_index": 11, "raft_applied_index": 10,
		"raft_state follower": 1, "raft_state leader": 0, "raft_state candidate": 0, "raft_state shutdown": 0})
	check(newClusterMetrics(func() cluster.Status { return cluster.Status{SinceContact: -1} }), map[string]float64{"cluster_leader_contact_seconds": -1})
	check(newStoreMetrics(func() redisstore.Stats {
		return redisstore.Stats{Pool: redisstore.PoolStats{Connections: 5, Idle: 4, Hits: 3, Misses: 2, Timeouts: 1, Stale: 6}, AsyncLost: 7,
			FeedEntries: map[reconcile.ChangeType]uint64{reconcile.RoomStarted: 8}}
	}), map[string]float64{"redis_pool_connections": 5, "redis_pool_idle_connections": 4, "redis_pool_hits_total": 3, "redis_pool_misses_total": 2,
		"redis_pool_timeouts_total": 1, "redis_pool_stale_connections_total": 6, "redis_async_writes_lost_total": 7, "feed_entries_total room_started": 8})
}

// TestCrashesAreCounted checks that a room that crashes is counted, and a crash elsewhere that ended one piece of work.
func TestCrashesAreCounted(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	m.Crashed()
	m.contained.Add(2)
	if rooms, contained := testutil.ToFloat64(m.crashes), testutil.ToFloat64(m.contained); rooms != 1 || contained != 2 {
		t.Errorf("%v rooms that crashed and %v other crashes are counted, want 1 and 2", rooms, contained)
	}
}
