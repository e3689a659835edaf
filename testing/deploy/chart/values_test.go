package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// leaves returns the chart's values by their paths, such as tls.certManager.enabled, as JSON. An empty map is a leaf, and so are
// resources and config, whose fields are Kubernetes' and rollcall's.
func leaves(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if m, ok := v.(map[string]any); ok && len(m) > 0 && path != "resources" && path != "config" {
			for name, inner := range m {
				walk(strings.TrimPrefix(path+"."+name, "."), inner)
			}
			return
		}
		shown, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = string(shown)
	}
	walk("", values)
	return all
}

var row = regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\| `([^`]*)` \\| .+ \\|$")

// TestTableHasAllValues compares the table of the chart's README with values.yaml.
func TestTableHasAllValues(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	values := leaves(t)
	seen := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		seen[m[1]] = true
		if want, ok := values[m[1]]; !ok || want != m[2] {
			t.Errorf("README.md says that %s is %s by default, values.yaml says %s", m[1], m[2], want)
		}
	}
	for path, value := range values {
		if !seen[path] {
			t.Errorf("the table of README.md lacks | `%s` | `%s` | … |", path, value)
		}
	}
}

// TestValuesAreUsed checks that a template uses each value.
func TestValuesAreUsed(t *testing.T) {
	t.Parallel()
	templates := ""
	for _, pattern := range []string{"templates/*", "templates/*/*"} {
		paths, err := filepath.Glob(filepath.Join(chartDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				templates += string(text)
			}
		}
	}
	for path := range leaves(t) {
		if !regexp.MustCompile(`\.Values\.` + regexp.QuoteMeta(path) + `\b`).MatchString(templates) {
			t.Errorf("no template uses %s", path)
		}
	}
}

// schema is a part of values.schema.json.
type schema struct {
	Others     json.RawMessage `json:"additionalProperties"`
	Properties map[string]json.RawMessage
}

// TestSchemaHasAllValues checks that the schema has the values of values.yaml, and no others, at each level that it closes.
func TestSchemaHasAllValues(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	var walk func(path string, text []byte)
	walk = func(path string, text []byte) {
		var s schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if string(s.Others) != "false" {
			known[path] = true
			return
		}
		for name, inner := range s.Properties {
			walk(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
	walk("", text)
	delete(known, "global") // Helm's own
	values := leaves(t)
	for path := range known {
		if _, ok := values[path]; !ok {
			t.Errorf("values.yaml has no %s, which the schema has", path)
		}
	}
	for path := range values {
		if !known[path] {
			t.Errorf("values.schema.json has no %s", path)
		}
	}
}

// TestRulesAreCopied checks that the chart's alerts are those of deploy/prometheus.
func TestRulesAreCopied(t *testing.T) {
	t.Parallel()
	source, copied := filepath.Join(root, "deploy/prometheus/rules.yml"), filepath.Join(chartDir, "files/rules.yml")
	want, err := os.ReadFile(source)
	if os.IsNotExist(err) {
		if _, err := os.Stat(copied); err == nil {
			t.Errorf("%s has no source %s", copied, source)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile(copied); err != nil {
		t.Errorf("run make rules: %v", err)
	} else if string(have) != string(want) {
		t.Errorf("%s is not %s: run make rules", copied, source)
	}
	if full, err := os.ReadFile("testdata/full.values.yaml"); err != nil {
		t.Error(err)
	} else if !strings.Contains(string(full), "prometheusRule: {enabled: true") {
		t.Error("testdata/full.values.yaml does not enable prometheusRule")
	}
}

// TestVersions checks that the chart installs the version of rollcall that it names.
func TestVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(chartDir, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version    string
		AppVersion string `yaml:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil || fmt.Sprintf("v%s", chart.Version) != chart.AppVersion {
		t.Errorf("the chart %s is of rollcall %s: they go together (%v)", chart.Version, chart.AppVersion, err)
	}
}
