package prometheus

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// scrape is what one node has answered. A node that does not answer has no families.
type scrape struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

func scrapeNode(t *testing.T, n *nodetest.Node) scrape {
	t.Helper()
	s := scrape{at: time.Now()}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(n.URL() + "/metrics")
	if err != nil {
		return s
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Logf("/metrics answers %d", resp.StatusCode)
		return s // as Prometheus takes it
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return s
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if s.families, err = parser.TextToMetricFamilies(bytes.NewReader(body)); err != nil {
		t.Fatalf("/metrics is not Prometheus' format: %v", err)
	}
	return s
}

// sample is one value. Counters grow, and so do timestamps.
type sample struct {
	value           float64
	counter, moment bool
}

// samples returns the node's samples by selector, as Prometheus stores them.
func (s scrape) samples(node string) map[string]sample {
	all := map[string]sample{on(node, "up"): {value: 0}}
	if s.families == nil {
		return all
	}
	all[on(node, "up")] = sample{value: 1}
	for name, f := range s.families {
		if !strings.HasPrefix(name, "rollcall_") {
			continue
		}
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			switch f.GetType() {
			case dto.MetricType_HISTOGRAM:
				for _, b := range m.Histogram.Bucket {
					le := fmt.Sprintf("le=%q", fmt.Sprint(b.GetUpperBound()))
					all[on(node, name+"_bucket", append(slices.Clone(labels), le)...)] = sample{value: float64(b.GetCumulativeCount()), counter: true}
				}
			case dto.MetricType_COUNTER:
				all[on(node, name, labels...)] = sample{value: m.Counter.GetValue(), counter: true}
			default:
				all[on(node, name, labels...)] = sample{value: m.Gauge.GetValue(), moment: strings.HasSuffix(name, "_timestamp_seconds")}
			}
		}
	}
	return all
}

// phase is what all nodes answered at the beginning and at the end of a few seconds, as samples. It stands for a longer time, in which everything
// goes on at the same rate.
type phase struct {
	begin, end map[string]sample
	began      time.Time
	took       time.Duration
	lasts      time.Duration // in the timeline
}

// timeline returns the phases one after another as series. Timestamps are moved into the timeline's time, which begins at 0, and counters go on
// over the time that is not in it.
func timeline(phases ...phase) series {
	names := map[string]bool{}
	for _, p := range phases {
		for name := range p.end {
			names[name] = true
		}
	}
	s := series{}
	for name := range maps.Keys(names) {
		s[name] = one(name, phases)
	}
	return s
}

// one returns the samples of one series.
func one(name string, phases []phase) string {
	var values []string
	now, counted, known := time.Duration(0), 0.0, math.NaN() // known is the real value at the end of the phase before
	for _, p := range phases {
		n := int(p.lasts / step)
		if n == 0 {
			continue
		}
		last, there := p.end[name]
		first, before := p.begin[name]
		if !before {
			first = last
		}
		slope := (last.value - first.value) / p.took.Seconds() * step.Seconds()
		value := last.value
		switch {
		case !there:
			values = append(values, fmt.Sprintf("_x%d", n))
			now, known = now+p.lasts, math.NaN()
			continue
		case last.counter:
			if math.IsNaN(known) || first.value < known {
				counted = first.value // the node has restarted
			} else {
				counted += first.value - known
			}
			value, known = counted, last.value
			counted += slope * float64(n)
		case last.moment:
			value = last.value - float64(p.began.UnixMilli())/1000 + now.Seconds()
			if slope > 0 {
				slope = step.Seconds() // a time that moves stays as long ago as it is, whatever the few seconds were like
			}
		default:
			slope = 0
		}
		if math.IsInf(value, 0) {
			value, slope = 1e9, 0
		}
		values = append(values, fmt.Sprintf("%.6f%+.6fx%d", value, slope, n-1))
		now += p.lasts
	}
	return strings.Join(values, " ")
}
