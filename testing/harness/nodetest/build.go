package nodetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/patch"
)

// BinEnv names the variable that holds the path of an existing rollcall binary, which is then used unchanged.
const BinEnv = "ROLLCALL_E2E_BIN"

// Build returns the path of a rollcall binary: $ROLLCALL_E2E_BIN, or one that it builds into dir, with the race detector if race
// is set, otherwise as the Makefile does. Call it from a directory of this module.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if bin := os.Getenv(BinEnv); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(dir, "rollcall")
	return bin, build(ctx, bin, race)
}

// Race reports whether nodes are built with the race detector: make check-long sets RACE=1.
func Race() bool { return os.Getenv("RACE") == "1" }

// NextVersion is the version of what BuildNext builds.
const NextVersion = "next"

// BuildNext builds a later version into dir and returns its path: one with a log format, an ownership hash, and fields of messages and records
// that this version does not know.
func BuildNext(ctx context.Context, dir string, race bool) (string, error) {
	bin := filepath.Join(dir, "rollcall-next")
	return bin, build(ctx, bin, race, "-tags=nextversion", "-ldflags=-X main.version="+NextVersion)
}

// BuildPatched builds into dir a rollcall with wrong changes, and returns its path. root is the repository's root.
func BuildPatched(ctx context.Context, dir, root string, edits ...patch.Edit) (string, error) {
	overlay, err := patch.Overlay(dir, root, edits...)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "rollcall-patched")
	return bin, build(ctx, bin, false, "-overlay="+overlay)
}

func build(ctx context.Context, bin string, race bool, flags ...string) error {
	flag, env := "-trimpath", "CGO_ENABLED=0"
	if race {
		flag, env = "-race", "CGO_ENABLED=1"
	}
	args := append([]string{"build", flag, "-o", bin}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/rollcallhq/rollcall/cmd/rollcall")...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build rollcall: %w\n%s", err, out)
	}
	return nil
}

// Main implements a package's TestMain. Its tests find the path of one rollcall binary in BinEnv. The binary is built first, so
// that the build does not count against any test's deadline. Main returns the exit code.
func Main(m *testing.M, race bool) int {
	dir, err := os.MkdirTemp("", "rollcall-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	bin, err := Build(ctx, dir, race)
	if err == nil {
		err = os.Setenv(BinEnv, bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
