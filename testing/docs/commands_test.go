package docs

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// elsewhere returns commands that other tests or CI run.
func elsewhere() map[string]string {
	return map[string]string{
		"make dev":                           "testing/browser",
		"make cluster":                       "testing/localcluster",
		"make test":                          ".ci/run",
		"make build":                         "TestMakeBuild",
		"make test PACKAGES=./reconcile/...": "TestOnlyNeedsAreInstalled; .ci/run, all of them",
		"make format lint":                   ".ci/run",
		"make chaos":                         "testing/chaos: make smoke is a part of it",
		"git clone https://github.com/rollcallhq/rollcall && cd rollcall":                                                                "nothing: it needs the network",
		"ROLLCALL_ADMIN_TOKEN=choose-a-long-one docker compose up --build":                                                               "testing/compose",
		"docker compose exec rollcall-1 /rollcall watch":                                                                                 "testing/compose",
		"docker build -f deploy/Dockerfile -t rollcall .":                                                                                "testing/compose",
		"docker run --env-file rollcall.env -p 8080:8080 -v rollcall-data:/data rollcall":                                                "testing/compose",
		"lk room join --url ws://127.0.0.1:7880 --api-key devkey --api-secret a-secret-for-this-machine-only-32 --identity ada room-123": "nothing: it is LiveKit's own program",
		"make release VERSION=v0.1.0":                                                                                                    "testing/deploy/release",
		"make check-deploy":                                                                                                              "nothing: it is made of testing/deploy",
		"sudo apt-get install ./rollcall_0.1.0_linux_amd64.deb":                                                                          "testing/deploy/release, with dpkg",
		"sudo dnf install ./rollcall_0.1.0_linux_amd64.rpm":                                                                              "testing/deploy/release, with rpm",
		"tar -xzf rollcall_0.1.0_linux_amd64.tar.gz":                                                                                     "testing/deploy/release",
		"docker load -i rollcall_0.1.0_linux_amd64.image.tar":                                                                            "testing/deploy/release",
		"sudo editor /etc/rollcall/rollcall.yaml /etc/rollcall/env":                                                                      "nothing: an editor",
		"sudo systemctl enable --now rollcall":                                                                                           "testing/deploy/release",
		"make chaos NEMESIS=kill-leader SEED=3":                                                                                          "testing/chaos",
	}
}

// world is a node with a LiveKit, as the pages assume, and a directory in which commands run.
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
	n.Env = append(livekit, "ROLLCALL_EMBEDDED_REDIS=true")
	n.Up()
	w.env = append(livekit, "PATH="+filepath.Join(w.dir, "bin")+":"+os.Getenv("PATH"), "HOME="+w.dir, "ROLLCALL_ADDR="+n.URL())
	return w
}

// run runs a line, with the reader's placeholders filled in, and returns what it printed. Commands that run until Ctrl-C get one
// as soon as they have printed something.
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

// output calls first at the first output. It does not embed bytes.Buffer, because data would then be copied into it without a
// Write.
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

// TestCommandsWork runs every line of every sh block. A command that would serve for ever is only checked, with check-config.
func TestCommandsWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
			if !strings.HasPrefix(line, "rollcall ") && !strings.HasPrefix(line, "bin/rollcall ") && !strings.HasPrefix(line, "curl ") {
				t.Errorf("%s shows the command %q, which this test cannot run: add it to elsewhere with the test that runs it", p.name, line)
				continue
			}
			ran++
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

// TestTwoTerminals types what getting-started.md shows for a LiveKit and a Redis of the reader's, block by block: the first terminal
// ends with rollcall serve, and the others have nothing but the file that the first block wrote.
func TestTwoTerminals(t *testing.T) {
	t.Parallel()
	fake := fakelivekit.New(fakelivekit.Options{})
	api := httptest.NewServer(fake)
	t.Cleanup(api.Close)
	t.Cleanup(fake.Close)
	fake.Join("NAME", fakelivekit.Who{Identity: "ada"})
	dir, addr := t.TempDir(), freeaddr.ForTest(t, 1)[0]
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o755), os.Symlink(program(), filepath.Join(dir, "bin", "rollcall"))); err != nil {
		t.Fatal(err)
	}
	mine := strings.NewReplacer("https://livekit.example.com", api.URL, "APIabc", fakelivekit.DefaultKey, "=…", "="+fakelivekit.DefaultSecret,
		"redis://redis.internal:6379/0", redistest.Start(t).URL(), "bin/rollcall serve", "exec bin/rollcall serve --http-addr "+addr, "bin/rollcall watch", "bin/rollcall watch > seen & until [ -s seen ]; do sleep 0.1; done; kill $!; wait $!")
	ran := 0
	each(t, "sh", func(p page, text string) {
		if !strings.HasSuffix(p.name, "getting-started.md") || !strings.Contains(text, settingsFile) {
			return
		}
		ran++
		// -e, so that a command that fails ends the block.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		t.Cleanup(cancel) // after the block with serve
		cmd := exec.CommandContext(ctx, "bash", "-e", "-c", mine.Replace(text))
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ROLLCALL_ADDR=http://" + addr}
		if strings.Contains(text, "rollcall serve") {
			process, err := proc.Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(process.Kill)
			eventually.True(t, "the node serves", func() bool {
				ready := exec.CommandContext(t.Context(), program(), "ready", "--addr", "http://"+addr)
				return ready.Run() == nil
			})
			return
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\nof\n%s", err, out, text)
		}
	})
	if ran != 4 {
		t.Errorf("%d blocks use %s, want 4", ran, settingsFile)
	}
}

// TestMakeBuild runs make build, without touching the tree's own bin directory. The binary must know its version.
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

// TestOnlyNeedsAreInstalled checks what make test would install for some packages, on a machine that has nothing.
func TestOnlyNeedsAreInstalled(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	for _, name := range []string{"bash", "env", "go", "grep", "dirname"} {
		at, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(at, filepath.Join(path, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, want := range map[string][]string{
		"./reconcile/...": nil, "./fsm": nil, "./client": {"gcc"}, "./internal/daemon": {"redis-server"}, "RACE=1 ./internal/daemon": {"gcc", "redis-server"}, "./testing/localcluster": {"redis-server"},
		"./cmd/rollcall": {"zsh", "fish", "mandoc"}, "./testing/browser": {"redis-server", "chromium", "nodejs"},
		"./testing/docs": {"redis-server", "systemd", "nodejs"}, "./testing/deploy/prometheus": {"redis-server", "promtool"},
	} {
		pattern, race := strings.CutPrefix(what, "RACE=1 ")
		cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "testing/install-deps.sh"), pattern)
		cmd.Env = append(os.Environ(), "PATH="+path, "BIN="+path, "RACE=")
		if race {
			cmd.Env = append(cmd.Env, "RACE=1")
		}
		out, err := cmd.CombinedOutput()
		if (err == nil) != (want == nil) {
			t.Errorf("%s: %v, %s", what, err, out)
		}
		said, _, _ := strings.Cut(string(out), " on the PATH")
		for _, program := range []string{"gcc", "redis-server", "chromium", "zsh", "fish", "mandoc", "systemd", "promtool"} {
			if slices.Contains(strings.Fields(said), program) != slices.Contains(want, program) {
				t.Errorf("%s needs %q, and is said to need: %s", what, want, said)
			}
		}
	}
}
