package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// command runs the binary and returns its output and exit code.
func (w *world) command(env []string, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx(), os.Getenv(nodetest.BinEnv), args...)
	cmd.Env = append([]string{"HOME=" + w.t.TempDir(), "GORACE=atexit_sleep_ms=0"}, env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("rollcall %q: %v", args, err)
	}
	for where, text := range map[string]string{"stdout": out.String(), "stderr": problems.String()} {
		w.checkSecrets("the "+where+" of rollcall "+strings.Join(args, " "), []byte(text))
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// TestCommands runs the client commands against a running node.
func TestCommands(t *testing.T) {
	t.Parallel()
	const token = "the-admin-token-of-the-commands"
	w := newWorld(t, options{adminToken: token})
	w.create(t, "a room")
	w.join(t, "a room", who{Identity: "alice"})
	w.create(t, "b")
	w.converges()
	w.relabel(t, "b", "a sync will see")
	here := []string{"ROLLCALL_ADDR=" + w.URL(), "ROLLCALL_TOKEN=" + token}
	for _, c := range []struct {
		args string
		env  []string
		code int
		says string // in stdout, or in stderr when the code is not 0
	}{
		{"status", here, 0, "running"},
		{"status --json", here, 0, `"syncServiceRunning": true`},
		{"sync --dry-run", here, 0, "1 change"},
		{"sync", here, 0, "2 rooms compared"},
		{"cleanup", here, 0, "Cleanup done"},
		{"full-sync --json", here, 0, `"full-sync"`},
		{"rooms", here, 0, "a room"},
		{"room b", here, 0, "a sync will see"},
		{"room b --json", here, 0, `"roomName": "b"`},
		{"room nosuch", here, 1, "nosuch"},
		{"stop", here, 0, "stopped"},
		{"status", here, 0, "STOPPED"},
		{"start", here, 0, "running"},
		{"status", here[:1], 1, "token"},
		{"status --token wrong", here[:1], 1, "token"},
		{"status --addr http://127.0.0.1:1", here[1:], 1, "nothing listens"},
		{"status extra", here, 2, `unexpected argument "extra"`},
		{"sync --no-such-flag", here, 2, "no-such-flag"},
		{"room", here, 2, "one room name"},
		{"nonsense", here, 2, "nonsense"},
		{"version", nil, 0, "rollcall"},
		{"check-config", w.Env, 0, "redis-url"},
		{"check-config --json", w.Env, 0, `"ok": true`},
		{"check-config --sync-interval=soon", w.Env, 2, "ROLLCALL_SYNC_INTERVAL"},
		{"check-config", nil, 2, "LIVEKIT_API_SECRET"},
		{"serve", nil, 2, "--livekit-host"},
	} {
		stdout, stderr, code := w.command(c.env, strings.Fields(c.args)...)
		text := stdout
		if c.code != 0 {
			text = stderr
		}
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("rollcall %s: exit code %d, want %d with %q:\n%s%s", c.args, code, c.code, c.says, stdout, stderr)
		}
	}
	stdout, _, _ := w.command(here, "room", "a room", "--json")
	var room oracle.State
	if err := json.Unmarshal([]byte(stdout), &room); err != nil || len(room.Participants) != 1 || room.Participants[0].Identity != "alice" {
		t.Errorf("room --json: %s (%v)", stdout, err)
	}
}
