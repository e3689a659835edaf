package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// fakeServer returns the path of an executable file livekit-server in a directory of its own.
func fakeServer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "livekit-server")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
