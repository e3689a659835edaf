package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// TestLocalCluster drives it as someone at a terminal would: looks, kills a node, sees it come back, ends everything.
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
	screen := &terminal{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx, []string{"--rollcall", bin, "--participants", "3", "--again", "1s"}, screen); err != nil {
			t.Error(err)
			screen.fail()
		}
	}()
	t.Cleanup(func() {
		end()
		<-done
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", screen.text())
		}
	})
	screen.await(t, `n3 .*pid \d+`)
	var pids []int
	for _, found := range regexp.MustCompile(`pid (\d+)`).FindAllStringSubmatch(screen.text(), -1) {
		pid, _ := strconv.Atoi(found[1])
		pids = append(pids, pid)
	}
	screen.await(t, `dev-\w+ +started`)
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	screen.await(t, `n1 has ended \(signal: killed\)`)
	screen.await(t, `n[23] \| .*(requestVote|appendEntries|heartbeat|cannot be reached|silent)`)
	screen.await(t, `n1 is started again`)
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

// terminal keeps what was written.
type terminal struct {
	mu    sync.Mutex
	all   bytes.Buffer
	ended bool
}

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

// fail ends every wait.
func (s *terminal) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

func (s *terminal) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func (s *terminal) await(t *testing.T, pattern string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !regexp.MustCompile(pattern).MatchString(s.text()); <-tick.C {
		if time.Now().After(end) || s.failed() {
			t.Fatal(fmt.Errorf("the terminal never showed %s", pattern))
		}
	}
}
