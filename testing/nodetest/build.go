package nodetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BinEnv names the variable that holds the path of a ready rollcall, which is then used as it is.
const BinEnv = "ROLLCALL_E2E_BIN"

// Build gives the path of a rollcall: $ROLLCALL_E2E_BIN, or one built into dir, with the race detector if wanted. It is to be
// called from a folder of this module.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if bin := os.Getenv(BinEnv); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(dir, "rollcall")
	args := []string{"build", "-o", bin}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/rollcallhq/rollcall/cmd/rollcall")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rollcall: %w\n%s", err, out)
	}
	return bin, nil
}

// QuietAddrs are free addresses of 127.0.0.1 below the ports that the system hands out by itself, so that nobody takes them
// while their node is down.
func QuietAddrs(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	for range 100 * n {
		if len(addrs) == n {
			break
		}
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		if l, err := net.Listen("tcp4", addr); err == nil {
			defer l.Close() // all at the end, so that no two are the same
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) < n {
		t.Fatal("no free port")
	}
	return addrs
}
