package dev

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/browsertest"
	"github.com/rollcallhq/rollcall/testing/livekittest"
	"github.com/rollcallhq/rollcall/testing/proc"
)

const (
	// patience is for what takes some seconds on an idle machine; the tests' machine is never idle.
	patience = time.Minute
	// building is for a machine that has built nothing yet.
	building = 10 * time.Minute
)

func TestMakeDev(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real livekit-server")
	}
	tmp := t.TempDir()
	screen, dev := makeDev(t, tmp)
	url := screen.Await(t, `rollcall +(http://127\.0\.0\.1:\d+)\n`, building)[1]
	addrs := addresses(t, screen.Text())

	screen.Await(t, `dev-\w+ +(started|\+\w+) +\[\w+`, patience)
	if rooms := get(t, url+"/api/rooms"); !strings.Contains(rooms, `"roomName":"dev-`) {
		t.Errorf("the rooms are %s", rooms)
	}
	var browser browsertest.Browser
	t.Cleanup(browser.End)
	page := browser.Open(t, url, 1280)
	page.Await(`live() && seen("All present.") && seen("1 of 1 ready")`)
	page.Await(`panel("Changes").innerText.includes(" joined dev-") && panel("Changes").innerText.includes(" left dev-")`)
	screen.Await(t, ` -\w+ .*\[.*\]`, patience)

	page.Expect("net::ERR_")
	interrupt(t, dev)
	if !dev.Ended(patience) {
		t.Fatal("it does not end after Ctrl-C")
	}
	page.Await(`seen("This node does not answer")`)
	screen.Await(t, `ending: the participants leave, then rollcall, then the rest`, patience)
	if complaint := regexp.MustCompile(`(?i)(error|warn|panic|fail).*`).FindString(screen.Text()); complaint != "" {
		t.Errorf("it complains: %s", complaint)
	}
	for _, addr := range addrs {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still answers", addr)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("it left %v: %v", left, err)
	}
}

// makeDev types `make dev`, with a folder for its temporary files.
func makeDev(t *testing.T, tmp string) (*proc.Screen, *proc.Process) {
	t.Helper()
	screen := &proc.Screen{}
	cmd := exec.Command("make", "-C", "../..", "dev", "BIN="+bin(t), "ARGS=--http-addr=127.0.0.1:0 --participants=6")
	cmd.Env = append(environment(), "TMPDIR="+tmp)
	cmd.Stdout, cmd.Stderr = screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does: Ctrl-C goes to the whole group
	dev, err := proc.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-dev.Done()
		screen.End()
	}()
	t.Cleanup(func() {
		interrupt(t, dev)
		if !dev.Ended(patience) {
			t.Error("it had to be killed")
			_ = syscall.Kill(-dev.Pid(), syscall.SIGKILL)
		}
		if t.Failed() {
			t.Logf("the screen shows:\n%s", screen.Text())
		}
	})
	return screen, dev
}

// interrupt is Ctrl-C.
func interrupt(t *testing.T, dev *proc.Process) {
	t.Helper()
	if err := syscall.Kill(-dev.Pid(), syscall.SIGINT); err != nil && err != syscall.ESRCH {
		t.Fatal(err)
	}
}

// bin is a folder for what make builds that has a livekit-server already, newer than what it is made of.
func bin(t *testing.T) string {
	t.Helper()
	ready, err := livekittest.Binary(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(ready)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	folder := t.TempDir()
	to, err := os.OpenFile(filepath.Join(folder, "livekit-server"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	return folder
}

// environment is that of somebody who has set nothing of ours, and whose shell no make has started.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return regexp.MustCompile(`^(LIVEKIT_|ROLLCALL_|REDIS_URL|MAKE|MFLAGS|GNUMAKEFLAGS)`).MatchString(entry)
	})
}

// addresses are where all that it started listens, by what the screen says of them.
func addresses(t *testing.T, screen string) []string {
	t.Helper()
	var addrs []string
	for _, found := range regexp.MustCompile(`(?m)^(?:livekit-server|rollcall) +http://(\S+)|redis-cli -p (\d+)`).FindAllStringSubmatch(screen, -1) {
		addr := found[1]
		if addr == "" {
			addr = net.JoinHostPort("127.0.0.1", found[2])
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) != 3 {
		t.Fatalf("it tells of the addresses %v", addrs)
	}
	return addrs
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s: %v", url, resp.Status, err)
	}
	return string(body)
}
