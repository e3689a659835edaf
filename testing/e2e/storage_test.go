package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// alone returns flags and environment of a node without other services: its rooms are in an embedded Redis, and LiveKit is
// unreachable.
func alone(t *testing.T) (flags, env []string) {
	t.Helper()
	return []string{"--node-id=n1"}, []string{"LIVEKIT_HOST=http://127.0.0.1:1", "LIVEKIT_API_KEY=key", "LIVEKIT_API_SECRET=a-secret-that-is-long-enough-for-all",
		"ROLLCALL_EMBEDDED_REDIS=true"}
}

// serveFails starts a node that cannot start, and returns the one line that it ends with.
func serveFails(t *testing.T, dir string, wrap ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flags, env := alone(t)
	args := append(append(wrap, os.Getenv(nodetest.BinEnv), "serve", "--http-addr="+freeaddr.ForTest(t, 1)[0], "--data-dir="+dir), flags...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...)
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit 1; it said:\n%s", cmd.ProcessState, out)
	}
	if strings.Contains(string(out), "goroutine ") {
		t.Errorf("it panicked:\n%s", out)
	}
	var said []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "rollcall: ") && !strings.HasPrefix(line, "rollcall: warning: ") {
			said = append(said, line)
		}
	}
	if len(said) != 1 {
		t.Fatalf("it ended with the lines %q, want one; all that it said:\n%s", said, out)
	}
	return said[0]
}

// TestDamagedRaftData checks that damage on disk is reported at the start, with the remedy, and that nothing is touched.
func TestDamagedRaftData(t *testing.T) {
	t.Parallel()
	_, env := alone(t)
	n := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "n1", Env: env})
	n.Up()
	n.Kill()
	path := filepath.Join(n.Dir, "raft", "raft.db")
	if err := os.Truncate(path, 3*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		line := serveFails(t, n.Dir)
		for _, want := range []string{"--data-dir", "raft.db", "damaged", "cut short", "Nothing was changed", "Move the folder raft"} {
			if !strings.Contains(line, want) {
				t.Errorf("it says %q, want %q in it", line, want)
			}
		}
	}
	if err := os.Rename(filepath.Join(n.Dir, "raft"), filepath.Join(n.Dir, "raft.aside")); err != nil {
		t.Fatal(err)
	}
	n.Up() // the remedy works
}

// TestAFullDiskAtTheFirstStart checks that the start fails with one line, and that the next start, with enough space, is not
// hindered by what the first one left.
func TestAFullDiskAtTheFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A separate mount, which disappears with the process. 3 pages have room for the node's name, but not for raft's file.
	small := []string{"unshare", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=12k none "$0" && mkdir "$0/data" && { "$@"; code=$?; cp -r "$0/data" "$0.left"; exit $code; }`, dir}
	line := serveFails(t, filepath.Join(dir, "data"), small...)
	if !strings.Contains(line, "no space left") || !strings.Contains(line, "--data-dir") {
		t.Errorf("it says %q", line)
	}
	_, env := alone(t)
	n := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "n1", Env: env})
	if err := os.Rename(dir+".left", n.Dir); err != nil {
		t.Fatal(err)
	}
	n.Up()
	for _, file := range []string{"node-id", "raft/raft.db"} { // the state in which an older rollcall left them
		n.Kill()
		if err := os.Truncate(filepath.Join(n.Dir, file), 0); err != nil {
			t.Fatal(err)
		}
		n.Up()
	}
}
