package prometheus

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	root      = "../../.."
	rulesFile = root + "/deploy/prometheus/rules.yml"
	step      = 30 * time.Second // between two samples
)

// rule is one alert.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	text, err := os.ReadFile(rulesFile)
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("%d alerts were read", len(all))
	}
	return all
}

// promtool runs promtool, which make test puts into bin/ where the machine has none.
func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		path, err = filepath.Abs(root + "/bin/promtool")
	}
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("promtool is neither on the PATH nor in bin/: run testing/install-deps.sh ./testing/deploy/prometheus: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestAlertsAreComplete checks that promtool accepts the rules, and that each alert says what happened, what it means and what to do, and is tested.
func TestAlertsAreComplete(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", path); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	known := map[string]bool{}
	for _, r := range rules(t) {
		for _, name := range []string{"summary", "description", "action"} {
			if strings.TrimSpace(r.Annotations[name]) == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if !strings.HasPrefix(r.Alert, "Rollcall") || known[r.Alert] {
			t.Errorf("the name %s is there twice, or does not begin with Rollcall", r.Alert)
		}
		known[r.Alert] = true
		if _, ok := faults()[r.Alert]; !ok {
			t.Errorf("%s has no fault in which it fires: add one to faults", r.Alert)
		}
		if !slices.Contains(firedForReal(), r.Alert) {
			t.Errorf("%s has no outage of real nodes in which it fires: add one", r.Alert)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(faults())), firedForReal(), slowness()) {
		if !known[name] {
			t.Errorf("faults, an outage or slowness has %s, which is no alert", name)
		}
	}
}

// metricNames returns the metrics of rollcall that an expression uses.
func metricNames(expr string) []string {
	return regexp.MustCompile(`\brollcall_[a-z_]+`).FindAllString(expr, -1)
}

var histogramSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)

// TestAlertsUseWhatExists checks that every metric and every label in the rules is in the reference, which is kept true by a test.
func TestAlertsUseWhatExists(t *testing.T) {
	t.Parallel()
	known := referenced(t)
	for _, r := range rules(t) {
		checkExpr(t, r.Alert, r.Expr, known)
	}
}

var selector = regexp.MustCompile(`(rollcall_[a-z_]+)(?:\{([^}]*)\})?`)

// checkExpr checks the metrics of an expression, and the labels and the values that it selects by.
func checkExpr(t *testing.T, where, expr string, known map[string]reference) {
	t.Helper()
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		ref, ok := known[histogramSuffix.ReplaceAllString(m[1], "")]
		if !ok {
			ref, ok = known[m[1]]
		}
		if !ok {
			t.Errorf("%s uses %s, which docs/metrics.md does not have", where, m[1])
			continue
		}
		for _, part := range regexp.MustCompile(`([a-z_]+)(=~|!=|=)"([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			label, values := part[1], strings.Split(part[3], "|")
			if label == "job" || label == "instance" {
				continue
			}
			listed, ok := ref.labels[label]
			if !ok {
				t.Errorf("%s selects %s by %s, which is no label of it", where, m[1], label)
			}
			for _, v := range values {
				if len(listed) > 0 && !slices.Contains(listed, v) {
					t.Errorf("%s selects %s by %s=%q; the values are %q", where, m[1], label, v, listed)
				}
			}
		}
	}
}

// series are samples by selector, in promtool's notation, one each step.
type series map[string]string

// expectation is that exactly these alerts fire at each of the times, and none at those of silent.
type expectation struct {
	name   string
	series series
	at     []time.Duration
	firing []string
	silent []time.Duration
}

// evaluate lets promtool evaluate the rules for each expectation.
func evaluate(t *testing.T, all []expectation) {
	t.Helper()
	if err := evaluation(t, `alertstate="firing"`, all...); err != nil {
		t.Error(err)
	}
}

// evaluationOf is evaluation for the alerts that are expected to fire. Others may fire as well. The alerts of slowness need not be silent.
func evaluationOf(t *testing.T, e expectation) error {
	t.Helper()
	return evaluation(t, fmt.Sprintf(`alertstate="firing",alertname=~%q`, strings.Join(e.firing, "|")), e)
}

// evaluation evaluates the rules, looks at the alerts that the matchers select, and returns how they differ from the expectations.
func evaluation(t *testing.T, matchers string, all ...expectation) error {
	t.Helper()
	path, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: %s\ntests:\n", path, step)
	for _, e := range all {
		fmt.Fprintf(&b, "- name: %q\n  interval: %s\n  input_series:\n", e.name, step)
		for name, values := range e.series {
			fmt.Fprintf(&b, "  - series: %q\n    values: %q\n", name, values)
		}
		b.WriteString("  promql_expr_test:\n")
		for _, at := range e.silent {
			fmt.Fprintf(&b, "  - expr: 'group by (alertname) (ALERTS{%s,alertname!~%q})'\n    eval_time: %s\n", matchers, strings.Join(slowness(), "|"), at)
		}
		for _, at := range e.at {
			fmt.Fprintf(&b, "  - expr: 'group by (alertname) (ALERTS{%s})'\n    eval_time: %s\n", matchers, at)
			if len(e.firing) > 0 {
				b.WriteString("    exp_samples:\n")
			}
			for _, name := range e.firing {
				fmt.Fprintf(&b, "    - labels: '{alertname=%q}'\n      value: 1\n", name)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "test", "rules", file); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// TestAlertsFire checks for each alert that it fires in its fault, with exactly those others that the same fault causes. Like TestAlertsAreSilent
// it computes much, so it does not run at once with the tests of real nodes.
func TestAlertsFire(t *testing.T) {
	var all []expectation
	for _, name := range slices.Sorted(maps.Keys(faults())) {
		s, f := healthy(), faults()[name]
		for _, gone := range f.gone {
			for key := range s {
				if strings.Contains(key, gone) {
					delete(s, key)
				}
			}
		}
		for key, values := range f.series {
			s[key] = values
		}
		all = append(all, expectation{name, s, []time.Duration{f.at}, append([]string{name}, f.also...), nil})
	}
	for part := range slices.Chunk(all, 10) {
		t.Run(part[0].name+" and others", func(t *testing.T) {
			t.Parallel()
			evaluate(t, part)
		})
	}
}

// TestAlertsAreSilent checks that nothing fires in a healthy cluster of three, while its leader changes and long after that.
func TestAlertsAreSilent(t *testing.T) {
	var at []time.Duration
	for t := time.Minute; t < look; t += step {
		at = append(at, t)
	}
	evaluate(t, []expectation{{"healthy", healthy(), append(at, 61*time.Minute), nil, nil}})
}
