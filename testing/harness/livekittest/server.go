package livekittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekitserver"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// The key and secret of every server here, the same as the fake's.
const (
	Key    = fakelivekit.DefaultKey
	Secret = fakelivekit.DefaultSecret
)

// Options configure a Server. The zero value is a server with an in-memory store and no webhooks. Bin, Key and Secret are always
// those of this package. An empty Dir is a new temporary directory, which Close removes.
type Options = livekitserver.Options

// Server is a livekit-server process that can be started again. Its methods must be called from one goroutine at a time.
type Server struct {
	opts   Options // of the last start
	ownDir bool
	proc   *livekitserver.Server // nil while it is stopped
}

// New starts a server that ends with the test. It shows the end of the server's log if the test fails.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	opts.Dir = t.TempDir()
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("start livekit-server: %v", err)
	}
	log := s.proc.LogTail
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("livekit-server's log ends with:\n%s", log())
		}
	})
	return s
}

// Start starts a server and returns when it answers. Close ends it. ctx limits only the start.
func Start(ctx context.Context, opts Options) (*Server, error) {
	var err error
	if opts.Bin, err = Binary(ctx, os.Stderr); err != nil {
		return nil, err
	}
	opts.Key, opts.Secret = Key, Secret
	s := &Server{opts: opts, ownDir: opts.Dir == ""}
	if s.ownDir {
		if s.opts.Dir, err = os.MkdirTemp("", "livekittest"); err != nil {
			return nil, fmt.Errorf("make a directory for livekit-server: %w", err)
		}
	}
	// Another process may take a free port before livekit-server does. Then try others.
	for range 3 {
		if err = s.Restart(ctx); err == nil {
			return s, nil
		}
	}
	s.Close()
	return nil, err
}

// URL returns the server's HTTP address, such as http://127.0.0.1:40001. It stays the same across restarts.
func (s *Server) URL() string { return "http://" + s.opts.Addr }

// Restart starts a stopped or killed server again on the same ports, and returns when it answers.
func (s *Server) Restart(ctx context.Context) error {
	if s.proc != nil {
		return errors.New("livekit-server is running: stop or kill it first")
	}
	proc, err := livekitserver.Start(ctx, s.opts)
	if err == nil {
		s.proc, s.opts = proc, proc.Options
	}
	return err
}

// Stop sends SIGTERM, and a second one to a server that waits for its participants to leave, as an impatient operator would.
func (s *Server) Stop() {
	if s.proc != nil {
		s.proc.Stop(10 * time.Second)
		s.proc = nil
	}
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
		_ = os.RemoveAll(s.opts.Dir)
	}
}
