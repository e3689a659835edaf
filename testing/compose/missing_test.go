package compose

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFindSaysWhatIsMissing checks the message on a machine that cannot run containers.
func TestFindSaysWhatIsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		docker string // the docker command, a shell script; none if empty
		want   string
	}{
		"no docker":  {"", "there is no docker on the PATH: install Docker Engine"},
		"no engine":  {"echo 'Cannot connect to the Docker daemon' >&2; exit 1", "the Docker engine does not answer: start it (systemctl start docker)"},
		"no compose": {`test "$1" = version`, "neither `docker compose` nor docker-compose is there: install one"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			t.Setenv("PATH", bin)
			if tt.docker != "" {
				if err := os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\n"+tt.docker+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Find(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestUpSaysWhyNot starts a node that cannot start. The error must contain the node's own message.
func TestUpSaysWhyNot(t *testing.T) {
	e := Need(t.Context(), t)
	wrong := filepath.Join(t.TempDir(), "wrong.yml")
	text := "services:\n  rollcall-1:\n    command: [serve, --sync-interval, never]\n"
	if err := os.WriteFile(wrong, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := e.NewProject(Options{Files: []string{wrong}})
	t.Cleanup(func() { down(t, p) })
	err := p.Up(within(t, 2*time.Minute), "rollcall-1")
	if err == nil || !strings.Contains(err.Error(), "exited, exit code 2") || !strings.Contains(err.Error(), "--sync-interval") {
		t.Error(err)
	}
}
