package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const root = "../../.."

// TestServers runs on each server what rollcall's store must do, alone and as a Cluster.
func TestServers(t *testing.T) {
	if os.Getenv("DEPLOY") == "" {
		t.Skip("DEPLOY=1 runs it (make check-deploy): it downloads about 100 MB of Debian's packages, once")
	}
	dir, err := filepath.Abs(filepath.Join(root, "bin", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	programs, err := fetch(t.Context(), dir, servers())
	if errors.Is(err, errNoDebian) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(t.TempDir(), "redisstore.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-c", "-o", tests, "./internal/redisstore")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, s := range servers() {
		t.Run(s.name+" "+s.version, func(t *testing.T) {
			if err := isVersion(t.Context(), programs[s], s.version); err != nil {
				t.Fatal(err)
			}
			out, err := conformance(t.Context(), tests, programs[s], s.parts())
			if err != nil || strings.Contains(out, "--- SKIP") {
				t.Errorf("%v\n%s", err, out)
			}
			for _, part := range s.parts() {
				if !strings.Contains(out, "--- PASS: TestConformance/"+strings.ReplaceAll(part, " ", "_")+" ") {
					t.Errorf("%s did not run:\n%s", part, out)
				}
			}
		})
	}
}

// isVersion checks what a server calls itself.
func isVersion(ctx context.Context, program, want string) error {
	out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "v="+want+".") {
		return fmt.Errorf("%s is not version %s: %w\n%s", program, want, err, out)
	}
	return nil
}

// parts returns the subtests of TestConformance that a server must pass.
func (s server) parts() []string {
	all := []string{"redis-server", "redis-server with hash tags"}
	if !s.alone {
		all = append(all, "Redis Cluster")
	}
	return all
}

// conformance runs the suite of the store with a server, and returns what it printed.
func conformance(ctx context.Context, tests, program string, parts []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tests, "-test.v", "-test.timeout=9m", "-test.run", "^(TestConformance|TestTwin)$/^("+strings.Join(parts, "|")+")$")
	cmd.Dir = filepath.Join(root, "internal", "redisstore")
	cmd.Env = append(os.Environ(), "REDIS_SERVER_BIN="+program)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var row = regexp.MustCompile(`(?m)^\| (Redis|Valkey) (\d+\.\d+) \| ([^|]+) \|`)

// TestTableIsTrue compares the table in docs/operations.md with the servers that TestServers runs.
func TestTableIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		shown[m[1]+" "+m[2]] = m[3]
	}
	for _, s := range servers() {
		want := "tested"
		if s.alone {
			want = "tested, not as a Cluster"
		}
		if name := s.name + " " + s.version; shown[name] != want {
			t.Errorf("docs/operations.md says of %s %q, want %q", name, shown[name], want)
		} else {
			delete(shown, name)
		}
	}
	for name, what := range shown {
		if strings.HasPrefix(what, "tested") {
			t.Errorf("docs/operations.md says that %s is tested, and no test runs it", name)
		}
	}
}
