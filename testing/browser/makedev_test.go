package browser

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// TestMakeDev tries a user's first minute: `make dev`, the page, people who come and go, and Ctrl-C, after which nothing is left.
func TestMakeDev(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real LiveKit")
	}
	dev := newTerminal(t)
	url := dev.await(`rollcall +(http://127\S+)`)
	addrs := []string{strings.TrimPrefix(url, "http://"), dev.await(`livekit-server +http://(\S+)`), dev.await(`redis-cli -u redis://default:\S+@(127\.0\.0\.1:\d+)`)}
	b := open(t, url, 1280)
	b.Await(`seen("All present.") && live() && seen("1 of 1 ready")`)
	b.Await(`/\w joined dev-/.test(panel("Changes").innerText) && /\w left dev-/.test(panel("Changes").innerText)`)
	dev.await(`dev-\w+ +.*-\w+`) // the terminal reports it too
	b.Press("Sync now")
	b.Await(`seen("Sync done\n") && seen(" 0 errors, 0 removed;")`)
	b.Eval(`all("nav a").find((l) => says(l) === "Rooms").click()`)
	b.Await(`all(".room-row a").length > 0 && all(".room-row a").every((a) => a.textContent.startsWith("dev-"))`)
	b.Expect("net::ERR_") // the page stays open when dev ends, as people leave it
	dev.interrupt()
	b.Await(`seen("This node does not answer")`)
	dev.await(`ending: the participants leave`)
	for _, addr := range addrs {
		if conn, err := net.DialTimeout("tcp", addr, patience); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s", addr)
		}
	}
	if left, err := os.ReadDir(dev.tmp); err != nil || len(left) > 0 {
		t.Errorf("it left %v: %v", left, err)
	}
	for _, bad := range []string{"DATA RACE", "panic", "level=ERROR", "Nothing to be done", "livekit-server has ended"} {
		if strings.Contains(dev.screen.Text(), bad) {
			t.Errorf("the terminal shows %s", bad)
		}
	}
}

// patience limits waits that take some seconds on an idle machine. The machine that runs tests is never idle.
const patience = time.Minute

// terminal is a terminal in which `make dev` runs.
type terminal struct {
	t      *testing.T
	proc   *proc.Process
	tmp    string // for temporary files of dev
	screen proc.Screen
}

// newTerminal builds everything beforehand and replaces go by a command that builds nothing, so that the test does not wait for a
// compiler.
func newTerminal(t *testing.T) *terminal {
	t.Helper()
	livekit, err := livekittest.Binary(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	bin, d := t.TempDir(), &terminal{t: t, tmp: t.TempDir()}
	for name, path := range map[string]string{"rollcall": rollcall.get(t), "livekit-server": livekit} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("make", "dev", "BIN="+bin, "GO=true")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "../..", &d.screen, &d.screen
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + d.tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the foreground group, which Ctrl-C reaches
	if d.proc, err = proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		<-d.proc.Done()
		d.screen.End()
	}()
	t.Cleanup(func() {
		d.interrupt()
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", d.screen.Text())
		}
	})
	return d
}

// interrupt sends Ctrl-C. It returns when no process of the foreground group is left.
func (d *terminal) interrupt() {
	d.t.Helper()
	group := -d.proc.Pid()
	if syscall.Kill(group, syscall.SIGINT) != nil {
		return // all have ended
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); syscall.Kill(group, 0) == nil; <-tick.C {
		if time.Now().After(end) {
			d.t.Errorf("it runs on after Ctrl-C")
			_ = syscall.Kill(group, syscall.SIGKILL)
			return
		}
	}
}

// await waits for a line that matches, and returns its last group.
func (d *terminal) await(pattern string) string {
	d.t.Helper()
	found := d.screen.Await(d.t, pattern, patience)
	return found[len(found)-1]
}
