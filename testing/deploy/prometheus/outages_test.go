package prometheus

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// outage is a fault of real nodes, or of what they depend on, and the alerts that must fire in it. Others may fire as well.
type outage struct {
	name   string
	alerts []string
	run    func(t *testing.T, w *world, o outage)
	deploy bool // it is expensive, and runs only with DEPLOY=1
}

// firedForReal returns the alerts that fire in an outage of real nodes.
func firedForReal() []string {
	var all []string
	for _, outages := range [][]outage{clusterOutages(), liveKitOutages(), redisOutages(), limitOutages(), longSyncOutages(), bugOutages()} {
		for _, o := range outages {
			all = append(all, o.alerts...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// suffer runs outages one after another.
func (w *world) suffer(t *testing.T, all []outage) {
	t.Helper()
	for _, o := range all {
		t.Run(o.name, func(t *testing.T) {
			if o.deploy && os.Getenv("DEPLOY") == "" {
				t.Skip("it is expensive: set DEPLOY=1")
			}
			o.run(t, w, o)
		})
	}
}

// fires looks at an outage that is under way, and checks that its alerts fire if it goes on for so long after a time without a fault.
func (o outage) fires(t *testing.T, w *world, lasts time.Duration, during func()) {
	t.Helper()
	retry(t, "alerts do not fire in an outage", func() error { return o.evaluate(t, w.calm, w.look(lasts, during)) })
}

// evaluate returns an error unless the alerts are silent at the end of the first phase and fire at the end of the last.
func (o outage) evaluate(t *testing.T, phases ...phase) error {
	t.Helper()
	end := time.Duration(0)
	for _, p := range phases {
		end += p.lasts
	}
	return evaluationOf(t, expectation{strings.Join(o.alerts, ", "), timeline(phases...), []time.Duration{end - step}, o.alerts, []time.Duration{phases[0].lasts - step}})
}
