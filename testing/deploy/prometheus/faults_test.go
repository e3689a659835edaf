package prometheus

import (
	"fmt"
	"strings"
	"time"
)

// The healthy cluster: n1 leads, restarts at change, and comes back a minute later; n2 leads from then on.
const (
	change = 5 * time.Minute
	away   = time.Minute
	end    = 70 * time.Minute
)

// samples returns a value that does not change, from begin to end.
func samples(value string, begin, end time.Duration) string {
	n := int(end/step) - int(begin/step)
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("%sx%d", value, n-1)
}

// flat returns a gauge with one value until end.
func flat(value float64) string { return samples(fmt.Sprintf("%g+0", value), 0, end) }

// then returns before until at, and after from then on.
func then(before string, at time.Duration, after string) string {
	return samples(before, 0, at) + " " + samples(after, at, end)
}

// absent returns no samples, until then.
func absent(until time.Duration) string { return fmt.Sprintf("_x%d ", int(until/step)) }

// lives returns samples as a node has them. n1 restarts at change: it has none for away, and then begins again.
func lives(node, value string) string {
	if node != "n1" {
		return samples(value, 0, end)
	}
	return samples(value, 0, change) + " " + absent(away) + samples(value, change+away, end)
}

// on returns the selector of a series of a node.
func on(node, metric string, labels ...string) string {
	all := append([]string{`job="rollcall"`, `instance="` + node + `:8080"`}, labels...)
	return metric + "{" + strings.Join(all, ",") + "}"
}

func nodes() []string { return []string{"n1", "n2", "n3"} }

// healthy returns the series of a healthy cluster of three under load.
func healthy() series {
	s := series{}
	for i, n := range nodes() {
		gauge := func(metric string, value float64, labels ...string) {
			s[on(n, metric, labels...)] = lives(n, fmt.Sprintf("%g+0", value))
		}
		counter := func(metric string, each float64, labels ...string) {
			s[on(n, metric, labels...)] = lives(n, fmt.Sprintf("0+%g", each))
		}
		s[on(n, "up")] = flat(1)
		if i == 0 {
			s[on(n, "up")] = samples("1+0", 0, change) + " " + samples("0+0", change, change+away) + " " + samples("1+0", change+away, end)
		}
		gauge("rollcall_build_info", 1, `version="v1"`)
		for _, metric := range []string{"rollcall_ready", "rollcall_cluster_has_leader", "rollcall_schedule_running"} {
			gauge(metric, 1)
		}
		gauge("rollcall_raft_servers", 3)
		during := samples("2+0", change, change+away) + " "
		if i == 0 {
			during = absent(away)
		}
		s[on(n, "rollcall_cluster_members")] = samples("3+0", 0, change) + " " + during + samples("3+0", change+away, end)
		for _, metric := range []string{"rollcall_cluster_epoch", "rollcall_cluster_term"} {
			s[on(n, metric)] = samples("7+0", 0, change) + " " + strings.ReplaceAll(during, "2+0", "8+0") + samples("9+0", change+away, end)
		}
		gauge("rollcall_unreachable_nodes", 0)
		gauge("rollcall_cycle_interval_seconds", 30, `kind="sync"`)
		gauge("rollcall_redis_shard_up", 1, `shard="redis:6379"`)
		gauge("rollcall_tls_certificate_expiry_timestamp_seconds", 365*86400, `listener="node"`)
		gauge("rollcall_http_connections", 20)
		gauge("rollcall_http_connections_limit", 512)
		gauge("rollcall_event_streams", 3)
		gauge("rollcall_event_streams_limit", 64)
		for metric, labels := range quiet() {
			for _, label := range labels {
				counter(metric, 0, label)
			}
		}
		for _, metric := range []string{"rollcall_room_crashes_total", "rollcall_contained_crashes_total", "rollcall_http_panics_total", "rollcall_redis_pool_timeouts_total", "rollcall_livekit_dropped_webhooks_total"} {
			counter(metric, 0)
		}
		counter("rollcall_webhooks_total", 30, `outcome="committed"`)
		for _, metric := range []string{"rollcall_webhook_duration_seconds", "rollcall_commit_seconds"} {
			histogram(s, n, metric, 30, "0.05")
		}
		histogram(s, n, "rollcall_converge_seconds", 30, "1", `cause="webhook"`)
		if i < 2 {
			leads(s, n, i == 0)
		}
	}
	return s
}

// quiet returns counters that do not move in a healthy cluster, with their labels. A few refusals are usual when rooms get another owner; they
// are not in it.
func quiet() map[string][]string {
	return map[string][]string{
		"rollcall_webhooks_total": {`outcome="unauthorized"`, `outcome="expired"`, `outcome="malformed"`, `outcome="too_large"`, `outcome="wrong_path"`,
			`outcome="unavailable"`, `outcome="overloaded"`, `outcome="too_slow"`, `outcome="broken_off"`, `outcome="panicked"`},
		"rollcall_commit_failures_total":         {`reason="stale_owner"`, `reason="split"`, `reason="unknown_outcome"`},
		"rollcall_livekit_requests_total":        {`outcome="refused"`, `outcome="limited"`, `outcome="timeout"`, `outcome="unavailable"`, `outcome="error"`},
		"rollcall_livekit_passed_over_total":     {`method="ListRooms"`},
		"rollcall_http_connections_closed_total": {`reason="refused"`, `reason="idle"`},
		"rollcall_drift_total":                   {`reason="missed join"`, `reason="missed leave"`, `reason="ghost"`, `reason="unseen room"`, `reason="unseen finish"`, `reason="foreign change"`},
		"rollcall_cycles_total":                  {`kind="sync",outcome="error"`},
	}
}

// histogram adds a histogram whose observations are all at most that bound.
func histogram(s series, node, metric string, each float64, bound string, labels ...string) {
	for _, le := range []string{"0.001", bound, "10", "60", "+Inf"} {
		grows := each
		if le == "0.001" {
			grows = 0
		}
		s[on(node, metric+"_bucket", append(labels, `le="`+le+`"`)...)] = lives(node, fmt.Sprintf("0+%g", grows))
	}
}

// leads adds what only the leader has: n1 until the change, n2 from then on.
func leads(s series, node string, first bool) {
	turn := func(value string) string {
		if first {
			return samples(value, 0, change)
		}
		return absent(change) + samples(value, change, end)
	}
	begin := 0.0
	if !first {
		begin = change.Seconds()
	}
	s[on(node, "rollcall_cluster_leader_since_timestamp_seconds")] = turn(fmt.Sprintf("%g+0", begin))
	s[on(node, "rollcall_last_cycle_timestamp_seconds", `kind="sync"`)] = turn(fmt.Sprintf("%g+%g", begin-10, step.Seconds()))
	s[on(node, "rollcall_cycle_slow", `kind="sync"`)] = turn("0+0")
	s[on(node, "rollcall_held_removals", `what="rooms"`)] = turn("0+0")
	s[on(node, "rollcall_livekit_requests_total", `outcome="ok"`)] = turn("0+30")
	histogram(s, node, "rollcall_cycle_seconds", 1, "1", `kind="sync"`)
}

// fault is a healthy cluster with some series that are gone or different.
type fault struct {
	gone   []string // parts of selectors
	series series
	at     time.Duration // when the alert fires
	also   []string      // other alerts that the fault causes
}

const (
	broke = 11 * time.Minute // when faults begin
	look  = 27 * time.Minute
)

// once returns a counter that goes from 0 to 1 when the fault begins.
func once() string { return then("0+0", broke, "1+0") }

// growing returns a counter that grows from when the fault begins.
func growing() string { return then("0+0", broke, "1+1") }

// becomes returns a gauge that has another value from when the fault begins.
func becomes(before, after float64) string {
	return then(fmt.Sprintf("%g+0", before), broke, fmt.Sprintf("%g+0", after))
}

func everywhere(metric, values string, labels ...string) series {
	s := series{}
	for _, n := range nodes() {
		s[on(n, metric, labels...)] = values
	}
	return s
}

// soon is short after the fault: a counter's first event must be seen at once.
const soon = broke + 2*time.Minute

func faults() map[string]fault {
	all := clusterFaults()
	for _, more := range []map[string]fault{syncFaults(), webhookFaults(), adapterFaults()} {
		for name, f := range more {
			all[name] = f
		}
	}
	return all
}

func clusterFaults() map[string]fault {
	return map[string]fault{
		"RollcallMissing":  {gone: []string{"_"}, series: everywhere("up", flat(1)), at: look},
		"RollcallNodeDown": {series: series{on("n3", "up"): becomes(1, 0)}, at: look},
		"RollcallNoLeader": {series: everywhere("rollcall_cluster_has_leader", becomes(1, 0)), at: soon},
		"RollcallNodeAway": {series: everywhere("rollcall_cluster_members", becomes(3, 2)), at: look},
		"RollcallNotReady": {series: series{on("n2", "rollcall_ready"): becomes(1, 0)}, at: look},
		"RollcallViewsDiffer": {series: series{on("n3", "rollcall_cluster_epoch"): becomes(9, 8), on("n1", "rollcall_cluster_epoch"): flat(9),
			on("n2", "rollcall_cluster_epoch"): flat(9)}, at: look},
		"RollcallLeaderChangesOften": {series: everywhere("rollcall_cluster_term", then("9+0", broke, "10+1")), at: look},
		"RollcallNodesCutOff":        {series: series{on("n1", "rollcall_unreachable_nodes"): becomes(0, 1)}, at: look},
		"RollcallVersionsDiffer": {gone: []string{`instance="n3:8080",version`},
			series: series{on("n3", "rollcall_build_info", `version="v2"`): flat(1)}, at: 61 * time.Minute},
	}
}

func syncFaults() map[string]fault {
	const stuck = "n2"
	return map[string]fault{
		// The leader never has a good sync: n2 leads since the change, and its last cycle's time does not exist.
		"RollcallNoGoodSync": {gone: []string{`instance="n2:8080",kind="sync"}`}, at: look},
		"RollcallSyncsFail":  {series: series{on(stuck, "rollcall_cycles_total", `kind="sync"`, `outcome="error"`): growing()}, at: broke + 3*time.Minute},
		"RollcallScheduleStopped": {series: series{on("n1", "rollcall_schedule_running"): becomes(1, 0), on("n2", "rollcall_schedule_running"): becomes(1, 0),
			on("n3", "rollcall_schedule_running"): becomes(1, 0), on("n2", "rollcall_last_cycle_timestamp_seconds", `kind="sync"`): late("650+0")}, at: look + time.Minute},
		"RollcallRemovalsHeld": {series: series{on(stuck, "rollcall_held_removals", `what="rooms"`): late("25+0")}, at: soon},
		"RollcallCyclesSlow": {series: series{on(stuck, "rollcall_cycle_slow", `kind="sync"`): late("1+0"),
			on(stuck, "rollcall_last_cycle_timestamp_seconds", `kind="sync"`): late("650+0")}, at: look},
		"RollcallSyncsLong": {series: series{on("n1", "rollcall_cycle_seconds_bucket", `kind="sync"`, `le="1"`): flat(0), on("n1", "rollcall_cycle_seconds_bucket", `kind="sync"`, `le="10"`): flat(0),
			on("n2", "rollcall_cycle_seconds_bucket", `kind="sync"`, `le="1"`): flat(0), on("n2", "rollcall_cycle_seconds_bucket", `kind="sync"`, `le="10"`): flat(0)}, at: look},
		"RollcallWebhooksMissing": {series: series{on(stuck, "rollcall_drift_total", `reason="missed join"`): growing()}, at: broke + 5*time.Minute},
		"RollcallForeignChange":   {series: series{on(stuck, "rollcall_drift_total", `reason="foreign change"`): once()}, at: soon},
		"RollcallBugs":            {series: series{on("n1", "rollcall_http_panics_total"): once()}, at: soon},
	}
}

// late returns a series of the second leader that has these values from when the fault begins, and none before.
func late(values string) string {
	return absent(broke) + samples(values, broke, end)
}

func webhookFaults() map[string]fault {
	slow := func(metric, bound string, labels ...string) series {
		s := series{}
		for _, n := range nodes() {
			s[on(n, metric+"_bucket", append(labels, `le="`+bound+`"`)...)] = flat(0)
		}
		return s
	}
	return map[string]fault{
		"RollcallWebhooksRefused":     {series: series{on("n3", "rollcall_webhooks_total", `outcome="expired"`): once()}, at: soon},
		"RollcallWebhooksUnavailable": {series: series{on("n3", "rollcall_webhooks_total", `outcome="unavailable"`): growing()}, at: soon},
		"RollcallWebhooksDropped":     {series: series{on("n3", "rollcall_livekit_dropped_webhooks_total"): once()}, at: soon},
		"RollcallWebhooksSlow":        {series: slow("rollcall_webhook_duration_seconds", "0.05"), at: look},
		"RollcallConvergenceSlow":     {series: slow("rollcall_converge_seconds", "1", `cause="webhook"`), at: look},
		"RollcallCommitsSlow":         {series: slow("rollcall_commit_seconds", "0.05"), at: look},
	}
}

func adapterFaults() map[string]fault {
	requests := func(outcome, values string) series {
		return series{on("n2", "rollcall_livekit_requests_total", `outcome="`+outcome+`"`): values}
	}
	return map[string]fault{
		"RollcallRedisDown":          {series: series{on("n3", "rollcall_redis_shard_up", `shard="redis:6379"`): becomes(1, 0)}, at: soon},
		"RollcallOutcomesUnknown":    {series: series{on("n3", "rollcall_commit_failures_total", `reason="unknown_outcome"`): growing()}, at: look},
		"RollcallRedisPoolExhausted": {series: series{on("n3", "rollcall_redis_pool_timeouts_total"): once()}, at: soon},
		"RollcallAnotherWriter":      {series: series{on("n3", "rollcall_commit_failures_total", `reason="stale_owner"`): growing()}, at: look},
		"RollcallLiveKitFails": {series: series{on("n2", "rollcall_livekit_requests_total", `outcome="timeout"`): growing(),
			on("n2", "rollcall_livekit_requests_total", `outcome="ok"`): flat(500)}, at: look},
		"RollcallLiveKitRefuses":     {series: requests("refused", once()), at: soon},
		"RollcallLiveKitLimits":      {series: requests("limited", growing()), at: look},
		"RollcallEntriesPassedOver":  {series: series{on("n2", "rollcall_livekit_passed_over_total", `method="ListRooms"`): once()}, at: soon},
		"RollcallConnectionsHigh":    {series: series{on("n1", "rollcall_http_connections"): becomes(20, 500)}, at: look},
		"RollcallConnectionsRefused": {series: series{on("n1", "rollcall_http_connections_closed_total", `reason="refused"`): once()}, at: soon},
		"RollcallCertificateExpires": {series: series{on("n2", "rollcall_tls_certificate_expiry_timestamp_seconds", `listener="node"`): becomes(365*86400, 29*86400)}, at: look},
		"RollcallCertificateExpiresSoon": {series: series{on("n2", "rollcall_tls_certificate_expiry_timestamp_seconds", `listener="node"`): becomes(365*86400, 6*86400)},
			at: look, also: []string{"RollcallCertificateExpires"}},
		"RollcallEventStreamsFull": {series: series{on("n1", "rollcall_event_streams"): becomes(3, 64)}, at: look},
	}
}
