package daemon

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
)

// beginLate returns the metrics of which a node that leads may have no series yet, with the reason.
func beginLate() map[string]string {
	return map[string]string{"rollcall_http_request_duration_seconds": "a histogram for each route would be large; those that are asked suffice"}
}

// TestEveryMetricBegins checks that a node that leads exports each metric that it has registered. A metric with labels of which no series begins is
// missing in /metrics, in the alerts and in docs/metrics.md, and nothing else notices.
func TestEveryMetricBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--node-addr="+freeaddr.ForTest(t, 1)[0], "--insecure")
	registry := w.daemon.metrics.registry
	w.report(time.Time{}, func(reconcile.Report) bool { return true })
	described := map[string]bool{}
	all := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(all)
		close(all)
	}()
	name := regexp.MustCompile(`fqName: "(rollcall_[^"]*)"`)
	for d := range all {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			described[m[1]] = true
		}
	}
	if len(described) < 60 {
		t.Errorf("only %d metrics are described", len(described))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	begun := map[string]bool{}
	for _, f := range families {
		begun[f.GetName()] = true
	}
	late := beginLate()
	for _, m := range slices.Sorted(maps.Keys(described)) {
		if _, known := late[m]; !begun[m] && !known {
			t.Errorf("%s begins without a series: give it those of its labels' values, in begin or where it is made, or name it in beginLate", m)
		}
	}
	for m := range late {
		if !described[m] {
			t.Errorf("beginLate has %s, which is not registered", m)
		}
	}
}
