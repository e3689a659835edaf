// Package redistest runs a real redis-server for tests. A server has a free port of 127.0.0.1 and a directory of its own. It can
// be stopped, killed, paused, restarted with or without its data, and flushed. It ends with the test. Without a redis-server on
// the PATH, or another one in REDIS_SERVER_BIN, the test fails and names what to install; it is never skipped.
package redistest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// patience is how long a server may take to start, to answer or to end.
const patience = 10 * time.Second

// Server is one redis-server. Its address stays the same over restarts. Its methods fail the test on errors, and must be called
// from one goroutine at a time.
type Server struct {
	Addr string // host:port

	t      testing.TB
	dir    string
	args   []string
	client *redis.Client
	proc   *proc.Process // nil while the server is down
	output *bytes.Buffer
	paused bool
}

// Start starts a server and waits until it answers. args are additional options of redis-server, one word each, such as
// "--appendonly", "yes". Every write reaches the append-only file before it is answered, so Kill loses nothing that was answered.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	binary, err := exec.LookPath(cmp.Or(os.Getenv("REDIS_SERVER_BIN"), "redis-server"))
	if err != nil {
		t.Fatalf("redistest: no redis-server on the PATH: install it (Debian: apt-get install redis-server), or name one in REDIS_SERVER_BIN: %v", err)
	}
	s := &Server{t: t, dir: t.TempDir()}
	s.Addr = freeaddr.ForTest(t, 1)[0]
	s.args = append([]string{binary, "--port", port(s.Addr), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"}, args...)
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialTimeout: patience, ReadTimeout: patience})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.end(syscall.SIGKILL)
	})
	if err := s.start(); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return s
}

// URL returns the server's redis:// URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Client returns the server's own client, with which a test inspects and changes the data. It is closed with the server.
func (s *Server) Client() *redis.Client { return s.client }

// Pid returns the process' id, or 0 while the server is down.
func (s *Server) Pid() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.Pid()
}

// Stop shuts the server down cleanly and keeps its data for Restart.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as kill -9 does and keeps what it had written for Restart.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Restart starts the server again on the same address; it ends a running server first. Without keep, the data is lost.
func (s *Server) Restart(keep bool) {
	s.t.Helper()
	s.Kill()
	if !keep {
		s.wipe()
	}
	if err := s.start(); err != nil {
		s.t.Fatalf("redistest: restart: %v", err)
	}
}

// Pause stops the server (SIGSTOP): connections stay open and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	s.paused = true
}

// Resume continues a paused server (SIGCONT). It then also processes what clients sent in the meantime.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
	s.paused = false
}

// Flush removes all data. Scripts stay loaded.
func (s *Server) Flush() {
	s.t.Helper()
	if err := s.client.FlushAll(context.Background()).Err(); err != nil {
		s.t.Fatalf("redistest: flush: %v", err)
	}
}

func (s *Server) start() error {
	s.output = new(bytes.Buffer)
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	var err error
	if s.proc, err = proc.Start(cmd); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.proc.AwaitReady(ctx, s.ready); err != nil {
		s.end(syscall.SIGKILL)
		return fmt.Errorf("redis-server is not ready: %w; it wrote:\n%s", err, s.output)
	}
	return nil
}

// ready returns nil if the process that was started answers, and not another one on its port.
func (s *Server) ready(ctx context.Context) error {
	info, err := s.client.Info(ctx, "server").Result()
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", s.proc.Pid())) {
		err = errors.New("another process has its port")
	}
	if err != nil {
		return err
	}
	return s.client.Ping(ctx).Err() // while the server loads its data, INFO works and other commands do not
}

// end sends the signal, waits until the process has ended, and kills it if that takes too long.
func (s *Server) end(sig syscall.Signal) {
	if s.proc == nil {
		return
	}
	if s.paused {
		s.proc.Signal(syscall.SIGCONT)
		s.paused = false
	}
	s.proc.Signal(sig)
	if !s.proc.Ended(patience) {
		s.proc.Kill()
	}
	s.proc = nil
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.proc != nil {
		select {
		case <-s.proc.Done():
		default:
			s.proc.Signal(sig)
			return
		}
	}
	s.t.Fatalf("redistest: %v: the server is down", sig)
}

func (s *Server) wipe() {
	s.t.Helper()
	entries, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	for _, path := range entries {
		if err := os.RemoveAll(path); err != nil {
			s.t.Fatalf("redistest: wipe: %v", err)
		}
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
