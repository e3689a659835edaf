package demo

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/internal/livekitserver"
)

// TestFindLiveKit checks where dev looks for a livekit-server: at the given path alone, or else beside rollcall and then on the PATH.
func TestFindLiveKit(t *testing.T) {
	beside, onPath, other := fakeServer(t), fakeServer(t), fakeServer(t)
	t.Setenv("PATH", filepath.Dir(onPath))
	for _, tt := range []struct{ name, path, dir, want string }{
		{"given", other, filepath.Dir(beside), other},
		{"beside", "", filepath.Dir(beside), beside},
		{"on the PATH", "", t.TempDir(), onPath},
	} {
		if got, err := FindLiveKit(tt.path, tt.dir); got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if got, err := FindLiveKit("/nonexistent/livekit-server", filepath.Dir(beside)); err == nil || !strings.Contains(err.Error(), "--livekit-server") {
		t.Errorf("a wrong path: %q, %v", got, err)
	}
}

// TestFreeAddr checks that the wanted port is taken if it is free, and another one otherwise.
func TestFreeAddr(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := taken.Addr().(*net.TCPAddr).Port
	if got, err := FreeAddr(port); err != nil || got == taken.Addr().String() || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("a port that is taken: %q, %v", got, err)
	}
	taken.Close()
	if got, err := FreeAddr(port); err != nil || got != taken.Addr().String() {
		t.Errorf("a free port: %q, %v, want %s", got, err, taken.Addr())
	}
}

// TestReportEnd checks that people hear of a livekit-server that ends by itself, and nothing of one that dev stops.
func TestReportEnd(t *testing.T) {
	log := filepath.Join(t.TempDir(), "livekit.log")
	if err := os.WriteFile(log, []byte("out of memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &LiveKit{Server: &livekitserver.Server{Log: log, Done: make(chan struct{})}}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	var out strings.Builder
	if l.ReportEnd(stopped, &out); out.String() != "" {
		t.Errorf("dev ends: %q", out.String())
	}
	close(l.Done)
	if l.ReportEnd(t.Context(), &out); !strings.Contains(out.String(), "livekit-server has ended: nobody can join") || !strings.Contains(out.String(), "out of memory") {
		t.Errorf("it ended by itself: %q", out.String())
	}
	out.Reset()
	l.stopped.Store(true) // as Stop does, when dev cannot start
	if l.ReportEnd(t.Context(), &out); out.String() != "" {
		t.Errorf("dev has stopped it: %q", out.String())
	}
}

// fakeServer returns the path of an executable file livekit-server in a directory of its own.
func fakeServer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "livekit-server")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
