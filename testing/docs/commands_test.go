package docs

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// elsewhere are commands that other tests run, or that CI does.
func elsewhere() map[string]string {
	return map[string]string{
		"make dev":                              "testing/browser",
		"make cluster":                          "testing/localcluster",
		"make test":                             ".ci/run",
		"make build":                            "TestMakeBuild",
		"make test PACKAGES=./reconcile/...":    ".ci/run, all of them",
		"make format lint":                      ".ci/run",
		"make chaos":                            "testing/chaos: make smoke is a part of it",
		"make chaos NEMESIS=kill-leader SEED=3": "testing/chaos",
	}
}

// world is a node with a LiveKit, as the pages assume one, and a directory to type in.
type world struct {
	*testing.T
	dir string
	env []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin := program()
	w := &world{T: t, dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(w.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(w.dir, "bin", "rollcall")); err != nil {
		t.Fatal(err)
	}
	fake := fakelivekit.New(fakelivekit.Options{})
	api := httptest.NewServer(fake)
	t.Cleanup(api.Close)
	t.Cleanup(fake.Close)
	fake.Join("NAME", fakelivekit.Who{Identity: "ada"})
	livekit := fakelivekit.Env(api.URL)
	n := nodetest.New(t, nodetest.Options{Binary: bin, ID: "n1"})
	n.Env = livekit
	n.Up()
	w.env = append(livekit, "PATH="+filepath.Join(w.dir, "bin")+":"+os.Getenv("PATH"), "HOME="+w.dir, "ROLLCALL_ADDR="+n.URL())
	return w
}

// run types a line, with what stands there for the reader to fill in, and gives what it printed. Commands that go on until
// Ctrl-C get one when they have printed something.
func (w *world) run(line string, env ...string) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = w.dir, append(slices.Clone(w.env), env...)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if strings.HasSuffix(strings.Fields(line)[0], "rollcall") && strings.Contains(line, " watch") {
		out.first = func() {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				w.Errorf("interrupt %s: %v", line, err)
			}
		}
	}
	if err := cmd.Run(); err != nil {
		w.Errorf("$ %s\n%v\n%s", line, err, out)
	}
	return out.String()
}

// output calls first when there is some. It is no bytes.Buffer itself, which would be copied into without a Write.
type output struct {
	all   bytes.Buffer
	first func()
}

func (o *output) Write(p []byte) (int, error) {
	if o.first != nil && len(p) > 0 {
		defer o.first()
		o.first = nil
	}
	return o.all.Write(p)
}

func (o *output) String() string { return o.all.String() }

// TestCommandsWork types every line of every sh block. A node that would serve for ever is checked instead, by its own word.
func TestCommandsWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("rollcall cert --dir . n1=n1.internal n2=n2.internal n3=n3.internal")
	ran := 0
	for _, p := range read(t) {
		var env []string
		for _, line := range p.commands() {
			if assignments, ok := strings.CutPrefix(line, "export "); ok {
				filled := w.run("sh -c 'echo " + strings.ReplaceAll(assignments, "…", strings.Repeat("s", 36)) + "'")
				env = append(env, strings.Fields(filled)...)
				continue
			}
			if _, ok := elsewhere()[line]; ok {
				continue
			}
			if !strings.HasPrefix(line, "rollcall ") && !strings.HasPrefix(line, "bin/rollcall ") {
				t.Errorf("%s tells to type %q, which this test cannot: add it to elsewhere with the test that does", p.name, line)
				continue
			}
			ran++
			if strings.Contains(p.name, "getting-started") {
				env = slices.DeleteFunc(env, func(v string) bool {
					return strings.HasPrefix(v, "ROLLCALL_ADMIN_TOKEN=") && !strings.Contains(line, "check-config") && !strings.Contains(line, "serve")
				})
			}
			if checked := strings.Replace(line, "rollcall serve", "rollcall check-config", 1); checked != line {
				if !strings.Contains(strings.Join(env, " "), "REDIS_URL") {
					env = append(env, "REDIS_URL=redis://redis.internal:6379/0")
				}
				line = checked
			}
			if out := w.run(line, env...); strings.TrimSpace(out) == "" {
				t.Errorf("%s: %q prints nothing", p.name, line)
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands were found", ran)
	}
}

// TestMakeBuild types make build, beside the tree's own bin. What it makes knows its version.
func TestMakeBuild(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "BIN="+bin, "VERSION=v1.2.3")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "rollcall"), "version").CombinedOutput(); err != nil || !strings.Contains(string(out), "v1.2.3") {
		t.Errorf("%s (%v), want v1.2.3", out, err)
	}
}
