package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// TestLocalCluster uses it as someone at a terminal would: looks, kills a node, sees it come back, ends everything.
func TestLocalCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers")
	}
	bin, err := nodetest.Build(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, end := context.WithCancel(t.Context())
	screen := &proc.Screen{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx, []string{"--rollcall", bin, "--participants", "3", "--again", "3s"}, screen); err != nil {
			t.Error(err)
			screen.End()
		}
	}()
	t.Cleanup(func() {
		end()
		<-done
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", screen.Text())
		}
	})
	screen.Await(t, `n3 .*pid \d+`, time.Minute)
	var pids []int
	for _, found := range regexp.MustCompile(`pid (\d+)`).FindAllStringSubmatch(screen.Text(), -1) {
		pid, _ := strconv.Atoi(found[1])
		pids = append(pids, pid)
	}
	screen.Await(t, `dev-\w+ +started`, time.Minute)
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	screen.Await(t, `n1 has ended \(signal: killed\)`, time.Minute)
	screen.Await(t, `n[23] \| .*(requestVote|appendEntries|heartbeat|cannot be reached|silent)`, time.Minute)
	screen.Await(t, `n1 is started again`, time.Minute)
	end()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it did not end")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if left, err := os.ReadDir(filepath.Clean(tmp)); err != nil || len(left) > 0 {
		t.Errorf("it left %v: %v", left, err)
	}
}
