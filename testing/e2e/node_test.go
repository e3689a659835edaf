package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// node is one `rollcall serve`. Its address, data and log stay over restarts.
type node struct {
	t     *testing.T
	addr  string // host:port
	args  []string
	env   []string
	log   string // path of its output
	cmd   *exec.Cmd
	ended chan error // the process' end
}

func newNode(t *testing.T, env, flags []string) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, addr: quietAddr(t), env: env, log: filepath.Join(dir, "rollcall.log")}
	n.args = append([]string{"serve", "--node-id=n1", "--http-addr=" + n.addr, "--raft-addr=127.0.0.1:0", "--actor-addr=127.0.0.1:0",
		"--data-dir=" + filepath.Join(dir, "data"), "--drain-delay=100ms", "--log-level=debug"}, flags...)
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("rollcall's log ends with:\n%s", tail(withoutPolls(n.output()), 20_000))
		}
	})
	return n
}

// quietAddr is a free address below the ports that the system hands out by itself, so that nobody takes it while the node is down.
func quietAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		if l, err := net.Listen("tcp4", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func (n *node) url() string { return "http://" + n.addr }

// start starts the process; it need not be ready.
func (n *node) start() {
	n.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close() // the process has its own descriptor
	n.cmd = exec.Command(os.Getenv(binEnv), n.args...)
	n.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=0 atexit_sleep_ms=0"}, n.env...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		n.t.Fatalf("start rollcall: %v", err)
	}
	ended := make(chan error, 1)
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(n.cmd)
	n.ended = ended
}

// up starts the process and waits until it is ready.
func (n *node) up() {
	n.t.Helper()
	n.start()
	n.awaitReady()
}

func (n *node) awaitReady() {
	n.t.Helper()
	poll(n.t, patience, "rollcall is ready", func() error {
		select {
		case err := <-n.ended:
			n.cmd = nil
			n.t.Fatalf("rollcall ended by itself: %v", err)
		default:
		}
		return n.probe("/readyz", http.StatusOK)
	})
}

// probe is nil when the path answers with that status.
func (n *node) probe(path string, want int) error {
	resp, err := httpClient().Get(n.url() + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %d, want %d", path, resp.StatusCode, want)
	}
	return nil
}

// terminate is a SIGTERM. The process must end in order within the 10 s of the contract.
func (n *node) terminate() {
	n.t.Helper()
	if n.cmd == nil {
		return
	}
	begun := time.Now()
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	n.awaitEnd(begun)
}

func (n *node) awaitEnd(begun time.Time) {
	n.t.Helper()
	select {
	case err := <-n.ended:
		n.cmd = nil
		if err != nil {
			n.t.Errorf("rollcall ended with %v after SIGTERM", err)
		}
		n.t.Logf("rollcall ended %v after SIGTERM", time.Since(begun).Round(time.Millisecond))
	case <-time.After(10 * time.Second):
		n.t.Error("rollcall did not end within 10 s of SIGTERM")
		n.kill()
	}
}

// kill is a SIGKILL.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	<-n.ended
	n.cmd = nil
}

func (n *node) output() []byte {
	raw, err := os.ReadFile(n.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		n.t.Errorf("read rollcall's log: %v", err)
	}
	return raw
}

// checkLog looks for what no run may have in its log.
func (n *node) checkLog() {
	n.t.Helper()
	out := n.output()
	for _, bad := range []string{"DATA RACE", "panic", "NOPERM"} {
		if at := bytes.Index(out, []byte(bad)); at >= 0 {
			n.t.Errorf("rollcall's log has %q: …%s…", bad, out[max(0, at-300):min(len(out), at+1500)])
		}
	}
}

// withoutPolls drops the lines that the tests' own waiting made.
func withoutPolls(log []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte("method=GET route=/readyz")) && !bytes.Contains(line, []byte("method=GET route=/api/sync-rooms")) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func tail(raw []byte, size int) []byte { return raw[max(0, len(raw)-size):] }
