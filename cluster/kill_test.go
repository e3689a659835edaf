package cluster

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/fsm"
)

const childDir = "ROLLCALL_TEST_CHILD_DIR"

// TestKilledChild is the process that TestKill9LosesNothingCommitted kills. It counts up in reports, prints each committed number, and takes
// a snapshot now and then.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("it runs only as a child")
	}
	go func() { // do not outlive the parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	n := openReady(t, config(dir))
	apply(t, n, fsm.SetService{Running: false})
	for i := reported(t, n) + 1; ; i++ {
		apply(t, n, fsm.RecordReport{Kind: fsm.KindSync, Token: n.Status().Token, JSON: []byte(strconv.Itoa(i))})
		fmt.Printf("\ncommitted %d\n", i)
		if i%7 == 0 {
			n.raft.Snapshot() // not waited for: the kill may hit it
		}
	}
}

func reported(t *testing.T, n *Node) int {
	t.Helper()
	r, ok := n.State().Reports[fsm.KindSync]
	if !ok {
		return 0
	}
	i, err := strconv.Atoi(string(r.JSON))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// killAfter runs the child until it has committed that many numbers, kills it, and returns the last number that it printed.
func killAfter(t *testing.T, dir string, numbers int) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, told := 0, []string{}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		told = append(told, lines.Text())
		if number, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
			if last, err = strconv.Atoi(number); err != nil {
				t.Fatal(err)
			}
			if numbers--; numbers == 0 {
				_ = cmd.Process.Kill() // the rest of what it printed is still read
			}
		}
	}
	if err := cmd.Wait(); err == nil || numbers > 0 {
		t.Fatalf("the child was not killed: %v\n%s", err, strings.Join(told, "\n"))
	}
	return last
}

func TestKill9LosesNothingCommitted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, numbers := range []int{1, 23, 42} {
		last := killAfter(t, dir, numbers)
		n := openReady(t, config(dir))
		s := n.Status()
		if got := reported(t, n); got < last || s.Generation != 41 || s.ServiceRunning {
			t.Fatalf("the child committed %d; the data has %d, %+v", last, got, s)
		}
		if len(s.Members) != 1 || s.Members[0].Incarnation != s.Incarnation {
			t.Fatalf("members %+v", s.Members)
		}
		shut(t, n)
	}
}
