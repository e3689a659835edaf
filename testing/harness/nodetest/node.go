// Package nodetest runs the real `rollcall serve` for tests. A process keeps its address, data and log over restarts, it ends
// with the test, and the end of its log is shown when the test fails.
package nodetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

const (
	// patience limits waits that take a second or two on an idle machine. The machine that runs tests is never idle.
	patience = time.Minute
	// endWithin is how long a node may take to end after SIGTERM and its drain delay, as documented.
	endWithin = 10 * time.Second
)

// Options configure a node. Binary and ID are required.
type Options struct {
	// Binary is the path of a rollcall.
	Binary string
	// Wrapper is a command that ends by executing the command that follows it, so that the process stays the same. Default: none.
	Wrapper []string
	// ID is the node's --node-id.
	ID string
	// HTTPAddr is the host:port of the node's API. Default: a free one.
	HTTPAddr string
	// Flags are additional flags of rollcall serve, and override the node's own.
	Flags []string
	// Env is the process' environment in addition to PATH.
	Env []string
}

// Node is one `rollcall serve`. Its methods fail the test on errors, and must be called from one goroutine at a time.
type Node struct {
	ID   string
	Addr string // host:port of its API
	Dir  string // its --data-dir
	// Env is the process' environment in addition to PATH, from the next Start on.
	Env []string

	t      testing.TB
	args   []string      // including the command
	binary int           // index in args of the path of rollcall
	log    string        // path of its output
	proc   *proc.Process // nil while it is not running
	paused bool
}

// New returns a node, which Start starts. It ends with the test.
func New(t testing.TB, o Options) *Node {
	t.Helper()
	dir := t.TempDir()
	n := &Node{ID: o.ID, Addr: o.HTTPAddr, Dir: filepath.Join(dir, "data"), Env: o.Env, t: t, binary: len(o.Wrapper),
		log: filepath.Join(dir, "rollcall.log")}
	if n.Addr == "" {
		n.Addr = freeaddr.ForTest(t, 1)[0]
	}
	n.args = slices.Concat(o.Wrapper, []string{o.Binary, "serve", "--node-id=" + n.ID, "--http-addr=" + n.Addr,
		"--data-dir=" + n.Dir, "--drain-delay=100ms", "--log-level=debug"}, o.Flags)
	t.Cleanup(func() {
		n.Kill()
		if t.Failed() {
			t.Logf("the log of rollcall %s ends with:\n%s", n.ID, tail(withoutPolls(n.Output()), 20_000))
		}
	})
	return n
}

// Use makes the next Start run another binary on the same data.
func (n *Node) Use(binary string) { n.args[n.binary] = binary }

// URL returns the URL of the node's API, without a trailing slash.
func (n *Node) URL() string { return "http://" + n.Addr }

// Runs reports whether this type's methods have started the process and not ended it since.
func (n *Node) Runs() bool { return n.proc != nil }

// Pid returns the process' id, or 0 while it is not running.
func (n *Node) Pid() int {
	if n.proc == nil {
		return 0
	}
	return n.proc.Pid()
}

// Start starts the process. It does not wait until the process is ready.
func (n *Node) Start() {
	n.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(n.args[0], n.args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=0 atexit_sleep_ms=0"}, n.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	if n.proc, err = proc.Start(cmd); err != nil {
		n.t.Fatalf("start rollcall: %v", err)
	}
}

// Up starts the process and waits until it is ready.
func (n *Node) Up() {
	n.t.Helper()
	n.Start()
	n.AwaitReady()
}

// AwaitReady waits until /readyz answers 200.
func (n *Node) AwaitReady() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.proc.AwaitReady(ctx, func(ctx context.Context) error { return Probe(ctx, n.URL()+"/readyz", http.StatusOK) }); err != nil {
		n.t.Fatalf("rollcall %s is not ready within %v: %v", n.ID, patience, err)
	}
}

// Probe returns nil if the path answers with the wanted status.
func (n *Node) Probe(path string, want int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Probe(ctx, n.URL()+path, want)
}

// Probe returns nil if the URL answers with the wanted status.
func Probe(ctx context.Context, url string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %d, want %d", url, resp.StatusCode, want)
	}
	return nil
}

// Terminate sends SIGTERM. The process must exit cleanly within its drain delay and the documented 10 s.
func (n *Node) Terminate() {
	n.t.Helper()
	begun := time.Now()
	n.Signal(syscall.SIGTERM)
	n.AwaitEnd(begun)
}

// AwaitEnd waits for the clean exit of a process that was sent SIGTERM at begun.
func (n *Node) AwaitEnd(begun time.Time) {
	n.t.Helper()
	if n.proc == nil {
		return
	}
	if within := n.drainDelay() + endWithin; !n.proc.Ended(within) {
		n.t.Errorf("rollcall %s did not end within %v of SIGTERM", n.ID, within)
		n.Kill()
		return
	}
	if err := n.proc.Err(); err != nil {
		n.t.Errorf("rollcall %s ended with %v after SIGTERM", n.ID, err)
	}
	n.proc, n.paused = nil, false
	n.t.Logf("rollcall %s ended %v after SIGTERM", n.ID, time.Since(begun).Round(time.Millisecond))
}

// drainDelay returns the delay of the node's flags.
func (n *Node) drainDelay() time.Duration {
	var delay time.Duration
	for _, arg := range n.args {
		if value, ok := strings.CutPrefix(arg, "--drain-delay="); ok {
			delay, _ = time.ParseDuration(value) // the node refuses one that is not valid
		}
	}
	return delay
}

// AwaitExit waits for a process that ends by itself, and returns its error.
func (n *Node) AwaitExit() error {
	n.t.Helper()
	if !n.proc.Ended(patience) {
		n.t.Fatalf("rollcall %s did not end within %v", n.ID, patience)
	}
	err := n.proc.Err()
	n.proc = nil
	return err
}

// Kill sends SIGKILL, also to a paused process. It does nothing if the process is not running.
func (n *Node) Kill() {
	if n.proc == nil {
		return
	}
	n.proc.Kill()
	n.proc, n.paused = nil, false
}

// Pause stops the process (SIGSTOP): connections stay open and nothing answers.
func (n *Node) Pause() {
	n.Signal(syscall.SIGSTOP)
	n.paused = true
}

// Resume continues a paused process (SIGCONT).
func (n *Node) Resume() {
	n.Signal(syscall.SIGCONT)
	n.paused = false
}

// Paused reports whether the process is between Pause and Resume.
func (n *Node) Paused() bool { return n.paused }

// Signal sends a signal, if the process runs.
func (n *Node) Signal(sig syscall.Signal) {
	if n.proc != nil {
		n.proc.Signal(sig)
	}
}

// Output returns everything that the node has logged, over all its starts.
func (n *Node) Output() []byte {
	raw, err := os.ReadFile(n.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		n.t.Errorf("read rollcall's log: %v", err)
	}
	return raw
}

// Says returns nil if the node has logged a line that contains all parts.
func (n *Node) Says(parts ...string) error {
	for line := range bytes.Lines(n.Output()) {
		all := true
		for _, part := range parts {
			all = all && bytes.Contains(line, []byte(part))
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("the log of rollcall %s has no line with %q", n.ID, parts)
}

// CheckLog fails the test if the log contains what no run may log.
func (n *Node) CheckLog() {
	n.t.Helper()
	out := n.Output()
	for _, bad := range []string{"DATA RACE", "panic", "NOPERM"} {
		if at := bytes.Index(out, []byte(bad)); at >= 0 {
			n.t.Errorf("the log of rollcall %s has %q: …%s…", n.ID, bad, out[max(0, at-300):min(len(out), at+1500)])
		}
	}
}

// withoutPolls drops the lines that the tests' own polling caused.
func withoutPolls(log []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(log) {
		poll := false
		for _, path := range []string{"/readyz", "/api/sync-rooms", "/api/cluster"} {
			poll = poll || bytes.Contains(line, []byte("method=GET route="+path))
		}
		if !poll {
			kept = append(kept, line...)
		}
	}
	return kept
}

func tail(raw []byte, size int) []byte { return raw[max(0, len(raw)-size):] }
