package prometheus

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md")

const (
	referenceFile  = root + "/docs/metrics.md"
	referenceBegin = "| metric | type | unit | labels | exported by | meaning |\n|---|---|---|---|---|---|\n"
)

// openLabels are labels whose values are not a list that rollcall fixes, with what they are.
func openLabels() map[string]string {
	return map[string]string{"shard": "address of the master", "version": "", "revision": "", "goversion": "",
		"listener": "`node`, or `http` with `--http-tls-cert`",
		"route":    "the pattern, as in openapi.yaml", "code": "the status"}
}

// reference is a metric in docs/metrics.md: its labels, each with its values or, for an open label, none.
type reference struct{ labels map[string][]string }

// referenced reads docs/metrics.md.
func referenced(t *testing.T) map[string]reference {
	t.Helper()
	text, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), referenceBegin)
	if !ok {
		t.Fatal("docs/metrics.md has no table")
	}
	all := map[string]reference{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) < 6 {
			break
		}
		r := reference{map[string][]string{"le": nil}}
		for part := range strings.SplitSeq(cells[3], "; ") {
			label, values, _ := strings.Cut(part, ": ")
			var listed []string
			for i, v := range strings.Split(values, "`") {
				if i%2 == 1 {
					listed = append(listed, v)
				}
			}
			r.labels[strings.Trim(label, "`")] = listed
		}
		all[strings.Trim(cells[0], "|` ")] = r
	}
	return all
}

// checkReference compares docs/metrics.md with what real nodes export.
func checkReference(t *testing.T, w *world) {
	lone := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "alone",
		Env: append(slices.DeleteFunc(slices.Clone(w.nodes[0].Env), func(v string) bool {
			return strings.HasPrefix(v, "ROLLCALL_NODE_AD") || strings.HasPrefix(v, "ROLLCALL_TLS_") || strings.HasPrefix(v, "REDIS_URL")
		}), "ROLLCALL_EMBEDDED_REDIS=true")})
	lone.Start()
	w.ready(lone)
	leads, follows := w.roles()
	alone := scrapeNode(t, lone).families
	var b strings.Builder
	b.WriteString(referenceBegin)
	for _, name := range slices.Sorted(maps.Keys(leads)) {
		if !strings.HasPrefix(name, "rollcall_") {
			continue
		}
		by := "each node"
		if follows[name] == nil {
			by = "the leader"
		} else if name == "rollcall_tls_certificate_expiry_timestamp_seconds" {
			by = "nodes with TLS files"
		} else if alone[name] == nil {
			by = "nodes with a node address"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, strings.ToLower(leads[name].GetType().String()), unit(name), labelCell(leads[name]), by,
			strings.ReplaceAll(leads[name].GetHelp(), "|", "\\|"))
	}
	for name := range follows {
		if leads[name] == nil {
			t.Errorf("a follower exports %s, and the leader does not", name)
		}
	}
	text, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), referenceBegin)
	after := ""
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") || after != "" {
			after += line
		}
	}
	want := before + b.String() + after
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("docs/metrics.md is not what the nodes export: run make docs\nwant\n%s", b.String())
	}
}

func unit(name string) string {
	switch name = strings.TrimSuffix(name, "_total"); {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix time in seconds"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	}
	return "–"
}

// labelCell lists the labels of a metric with their values.
func labelCell(f *dto.MetricFamily) string {
	values := map[string]map[string]bool{}
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if values[l.GetName()] == nil {
				values[l.GetName()] = map[string]bool{}
			}
			values[l.GetName()][l.GetValue()] = true
		}
	}
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(values)) {
		part := "`" + label + "`"
		if what, open := openLabels()[label]; !open {
			part += ": `" + strings.Join(slices.Sorted(maps.Keys(values[label])), "`, `") + "`"
		} else if what != "" {
			part += ": " + what
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, "; ")
}
