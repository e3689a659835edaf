package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what the test reads of deploy/grafana/rollcall.json.
type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Datasource               struct{ UID string }
	Targets                  []struct{ Expr string }
}

// TestDashboard checks that the dashboard's expressions are valid, use metrics and labels that exist and its variables, and that its panels have
// names, explanations and places of their own.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/deploy/grafana/rollcall.json")
	var d dashboard
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	known, ids, places := referenced(t), map[int]bool{}, map[string]bool{}
	var exprs []string
	for _, p := range d.Panels {
		place := fmt.Sprint(p.GridPos.X, p.GridPos.Y)
		if ids[p.ID] || places[place] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q, has no name, or its id or place is another's", p.ID, p.Title)
		}
		ids[p.ID], places[place] = true, true
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no description, no expression or a data source of its own", p.Title)
		}
		for _, target := range p.Targets {
			if strings.Count(target.Expr, `job="$job"`) < len(metricNames(target.Expr)) {
				t.Errorf("panel %q shows all clusters together: %s", p.Title, target.Expr)
			}
			checkExpr(t, p.Title, target.Expr, known)
			exprs = append(exprs, target.Expr)
		}
	}
	if len(exprs) < 30 {
		t.Errorf("%d expressions were read", len(exprs))
	}
	valid(t, exprs)
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
	}
	for _, m := range regexp.MustCompile(`\$\{?([a-z]+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(strings.Join(names, " "), m[1]) {
			t.Errorf("the dashboard uses the variable %s and has %q", m[1], names)
		}
	}
}

// valid lets promtool parse the expressions, as those of recording rules.
func valid(t *testing.T, exprs []string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range exprs {
		fmt.Fprintf(&b, "  - record: panel:%d\n    expr: %q\n", i, strings.ReplaceAll(expr, "$__rate_interval", "1m"))
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestScrapeExample checks the example of a configuration of Prometheus.
func TestScrapeExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for from, to := range map[string]string{"scrape.yml": "prometheus.yml", "rules.yml": "rules.yml"} {
		text, err := os.ReadFile(root + "/deploy/prometheus/" + from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rollcall-token"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "config", filepath.Join(dir, "prometheus.yml")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
