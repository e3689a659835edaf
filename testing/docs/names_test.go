package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

func read(t *testing.T) []page {
	t.Helper()
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var link = regexp.MustCompile(`(?:\]\(|src(?:set)?=")([^)\s"]+)`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := read(t)
	for _, name := range []string{"CHANGELOG.md", "deploy/helm/rollcall/README.md", "testing/README.md", "testing/chaos/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{name, string(text)})
	}
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := filepath.Join(filepath.Dir(p.name), target)
			if target == "" {
				path = p.name
			}
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s links to %s, which is not there", p.name, m[1])
				continue
			}
			i := slices.IndexFunc(all, func(o page) bool { return o.name == path })
			if anchor != "" && (i < 0 || !all[i].anchors()[anchor]) {
				t.Errorf("%s links to %s, which has no such heading", p.name, m[1])
			}
		}
	}
}

// foreign returns flags of other programs, and former flags of ours.
func foreign() []string {
	return []string{"--raft-addr", "--raft-advertise", "--actor-addr", "--actor-advertise", "--rollcall-accent", "--appendonly", "--maxmemory-policy", "--build", "--no-verify", "--race", "--protected-mode", "--env-file", "--create-dirs", "--url", "--api-key", "--api-secret", "--identity", "--system", "--now", "--format"}
}

var flagName = regexp.MustCompile("(?:^|[\\s`(\"])(--[a-z][a-z-]+[a-z])")

func TestFlagsExist(t *testing.T) {
	t.Parallel()
	bin := program()
	known := foreign()
	for _, command := range []string{"serve", "dev", "status", "sync", "rooms", "room", "watch", "drift", "cluster", "cluster remove", "cert", "ready", "man", "version"} {
		help, err := exec.Command(bin, append(strings.Fields(command), "--help")...).Output()
		if err != nil {
			t.Fatalf("%s --help: %v", command, err)
		}
		known = append(known, regexp.MustCompile(`--[a-z-]+`).FindAllString(string(help), -1)...)
	}
	for _, p := range read(t) {
		for _, m := range flagName.FindAllStringSubmatch(p.text, -1) {
			if name := m[1]; !slices.Contains(known, name) && name != "--tls" && name != "--http-tls" {
				t.Errorf("%s names %s, which no command has", p.name, name)
			}
		}
	}
}

var (
	metric   = regexp.MustCompile(`\brollcall_([a-z_]+[a-z])`)
	endpoint = regexp.MustCompile(`/api/[a-z-]+`)
	suffix   = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// TestMetricsAndEndpointsExist looks for them in the sources and the description: a node shows many metrics only once they have
// counted something.
func TestMetricsAndEndpointsExist(t *testing.T) {
	t.Parallel()
	sources := ""
	for _, pattern := range []string{"cmd/rollcall/*.go", "internal/*/*.go", "internal/httpapi/openapi.yaml"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources += string(text)
		}
	}
	for _, p := range read(t) {
		for _, m := range metric.FindAllStringSubmatch(p.text, -1) {
			name := suffix.ReplaceAllString(m[1], "")
			if !strings.Contains(sources, `"`+name+`"`) && !strings.Contains(sources, "rollcall_"+name+`"`) &&
				!strings.Contains(sources, `"`+strings.TrimPrefix(name, "cluster_")+`"`) && !strings.Contains(sources, `"`+strings.TrimPrefix(name, "http_")+`"`) {
				t.Errorf("%s names rollcall_%s, which no node has", p.name, m[1])
			}
		}
		for _, path := range endpoint.FindAllString(p.text, -1) {
			if !strings.Contains(sources, "\n  "+path) {
				t.Errorf("%s names %s, which is not described in openapi.yaml", p.name, path)
			}
		}
	}
}

// TestMain first builds the program that the pages describe.
func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, false)) }

// program returns the path of the binary that TestMain has built.
func program() string { return os.Getenv(nodetest.BinEnv) }
