package livekittest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// The key and secret of every server here, the same as the fake's.
const (
	Key    = fakelivekit.DefaultKey
	Secret = fakelivekit.DefaultSecret
)

// Options configure a Server. The zero value is a server with an in-memory store and no webhooks.
type Options struct {
	// URLs receive the webhooks.
	URLs []string
	// Keys are further API keys that the server accepts, with their secrets.
	Keys map[string]string
	// Redis is the address (host:port) of a Redis that stores the rooms; "" keeps them in memory.
	Redis string
	// EmptyTimeout and DepartureTimeout are when empty rooms close, in seconds. Default: LiveKit's own 300 and 20.
	EmptyTimeout, DepartureTimeout int
	// AskNodes sets api.enable_psrpc_for_get_list_participants: ListParticipants asks the room's node, and answers unavailable
	// after 3 s for a room without a node.
	AskNodes bool
	// Dir holds configuration and log. Default: a new temporary directory, removed by Close.
	Dir string
	// OwnGroup keeps the terminal's Ctrl-C from the server, for a caller that ends its processes in its own order.
	OwnGroup bool
	// Progress gets a line if the server has to be built first. Default: stderr.
	Progress io.Writer
}

// Server is a livekit-server process. Its methods must be called from one goroutine at a time.
type Server struct {
	opts    Options
	bin     string
	dir     string
	ownDir  bool
	port    int
	udpPort int
	proc    *proc.Process
}

// New starts a server that ends with the test. It shows the end of the server's log if the test fails.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	opts.Dir = t.TempDir()
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("start livekit-server: %v", err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("livekit-server's log ends with:\n%s", s.logTail())
		}
	})
	return s
}

// Start starts a server and returns when it answers. Close ends it. ctx limits only the start.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Progress == nil {
		opts.Progress = os.Stderr
	}
	bin, err := Binary(ctx, opts.Progress)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, bin: bin, dir: opts.Dir}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "livekittest"); err != nil {
			return nil, fmt.Errorf("make a directory for livekit-server: %w", err)
		}
		s.ownDir = true
	}
	// Another process may take a free port before livekit-server does. Then try others.
	for range 3 {
		if err = s.pickPorts(); err != nil {
			break
		}
		if err = s.Restart(ctx); err == nil {
			return s, nil
		}
	}
	s.Close()
	return nil, err
}

// URL returns the server's HTTP address, such as http://127.0.0.1:40001. It stays the same across restarts.
func (s *Server) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.port) }

// Restart starts a stopped or killed server again on the same ports, and returns when it answers.
func (s *Server) Restart(ctx context.Context) error {
	if s.proc != nil {
		return errors.New("livekit-server is running: stop or kill it first")
	}
	config := filepath.Join(s.dir, "livekit.yaml")
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		return fmt.Errorf("write livekit-server's configuration: %w", err)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open livekit-server's log: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(s.bin, "--config", config, "--node-ip", "127.0.0.1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: s.opts.OwnGroup}
	s.proc, err = proc.Start(cmd)
	if err != nil {
		return fmt.Errorf("start livekit-server: %w", err)
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("livekit-server is not ready: %w; its log ends with:\n%s", err, s.logTail())
	}
	return nil
}

// Stop sends SIGTERM, and a second one to a server that waits for its participants to leave, as an impatient operator would.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	for _, wait := range []time.Duration{time.Second, 10 * time.Second} {
		s.proc.Signal(syscall.SIGTERM)
		if s.proc.Ended(wait) {
			break
		}
	}
	s.Kill()
}

// Kill sends SIGKILL.
func (s *Server) Kill() {
	if s.proc != nil {
		s.proc.Kill()
		s.proc = nil
	}
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.Kill()
	if s.ownDir {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.proc.Done():
			return fmt.Errorf("it exited: %w", s.proc.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL(), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *Server) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "port: %d\nbind_addresses: [127.0.0.1]\nlogging: {level: info, pion_level: error}\nkeys:\n  %q: %q\n", s.port, Key, Secret)
	for key, secret := range s.opts.Keys {
		fmt.Fprintf(&b, "  %q: %q\n", key, secret)
	}
	fmt.Fprintf(&b, "rtc:\n  tcp_port: 0\n  udp_port: %d\n  interfaces: {includes: [lo]}\n  enable_loopback_candidate: true\n  stun_servers: []\n", s.udpPort)
	if len(s.opts.URLs) > 0 {
		fmt.Fprintf(&b, "webhook:\n  api_key: %q\n  urls:\n", Key)
		for _, url := range s.opts.URLs {
			fmt.Fprintf(&b, "    - %q\n", url)
		}
	}
	if s.opts.Redis != "" {
		fmt.Fprintf(&b, "redis: {address: %q}\n", s.opts.Redis)
	}
	if s.opts.AskNodes {
		b.WriteString("api: {enable_psrpc_for_get_list_participants: true}\n")
	}
	if s.opts.EmptyTimeout > 0 || s.opts.DepartureTimeout > 0 {
		b.WriteString("room:\n")
	}
	if s.opts.EmptyTimeout > 0 {
		fmt.Fprintf(&b, "  empty_timeout: %d\n", s.opts.EmptyTimeout)
	}
	if s.opts.DepartureTimeout > 0 {
		fmt.Fprintf(&b, "  departure_timeout: %d\n", s.opts.DepartureTimeout)
	}
	return b.String()
}

func (s *Server) pickPorts() error {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free UDP port: %w", err)
	}
	defer udp.Close()
	s.port = tcp.Addr().(*net.TCPAddr).Port
	s.udpPort = udp.LocalAddr().(*net.UDPAddr).Port
	return nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "livekit.log") }

func (s *Server) logTail() string {
	raw, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4096):])
}
