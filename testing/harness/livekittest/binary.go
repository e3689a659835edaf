// Package livekittest runs a real livekit-server on loopback and real participants in it, for tests and for `make dev`.
// Everything it started is gone after Close, or after the test. Many test processes may use it at the same time.
package livekittest

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// Version is the version of livekit-server that testing/livekitserver pins.
	Version = "v1.13.5"
	// BinEnv names the variable that holds the path of an existing livekit-server, which is then used unchanged.
	BinEnv = "LIVEKIT_SERVER_BIN"

	module        = "github.com/rollcallhq/rollcall"
	serverPackage = "github.com/livekit/livekit-server/cmd/server"
)

// Binary returns the path of a livekit-server: $LIVEKIT_SERVER_BIN, or the one in the user's cache directory, which it builds if
// it is missing (about 2 minutes, once). It writes a line to progress before a build starts. It needs the go tool on the PATH.
func Binary(ctx context.Context, progress io.Writer) (string, error) {
	if bin := os.Getenv(BinEnv); bin != "" {
		if _, err := os.Stat(bin); err != nil {
			return "", fmt.Errorf("%s names no livekit-server: %w", BinEnv, err)
		}
		return bin, nil
	}
	return cached("livekit-server-"+Version, func(target string) error {
		if _, err := os.Stat(target); err == nil {
			return nil
		}
		fmt.Fprintf(progress, "building livekit-server %s into %s (about 2 minutes, once)\n", Version, filepath.Dir(target))
		root, err := repository(ctx)
		if err != nil {
			return err
		}
		fresh := target + ".new"
		if err := goBuild(ctx, filepath.Join(root, "testing", "livekitserver"), fresh, serverPackage); err != nil {
			return err
		}
		return os.Rename(fresh, target)
	})
}

// participantBinary builds the client program. The go tool itself decides whether there is anything to build. The first build may
// take a minute, so it does not count against the caller's deadline for its participant, which may be short.
func participantBinary(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer cancel()
	root, err := repository(ctx)
	if err != nil {
		return "", err
	}
	return cached(fmt.Sprintf("participant-%08x", crc32.ChecksumIEEE([]byte(root))), func(target string) error {
		return goBuild(ctx, root, target, "./testing/harness/livekittest/participant")
	})
}

// cached runs ensure under a lock that holds across processes, so that parallel test packages do not build twice.
func cached(name string, ensure func(target string) error) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory (set XDG_CACHE_HOME or HOME): %w", err)
	}
	dir := filepath.Join(base, "rollcall")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	target := filepath.Join(dir, name)
	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("open the build lock: %w", err)
	}
	defer lock.Close() // also releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("take the build lock %s: %w", lock.Name(), err)
	}
	if err := ensure(target); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return target, nil
}

func goBuild(ctx context.Context, dir, target, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", target, pkg) // as the Makefile does
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}

// repository returns the root of the work tree, from any directory of it in which a test or command runs.
func repository(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the root of %s (run from within its work tree): %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
