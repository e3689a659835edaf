package daemon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// playsNode is the environment variable of the test's own program when it plays a node.
const playsNode = "ROLLCALL_TEST_TIMERS"

func TestRelaxTimers(t *testing.T) {
	if os.Getenv(playsNode) != "" {
		RelaxTimers()
		printSlacks()
		return
	}
	for name, c := range map[string]struct {
		before, after time.Duration
		anew          bool
	}{
		"as Linux has it":    {defaultSlack, timerSlack, true},
		"as an operator set": {3 * time.Millisecond, 3 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "-test.run=^TestRelaxTimers$")
			cmd.Env = append(os.Environ(), playsNode+"=1")
			said := &strings.Builder{}
			cmd.Stdout, cmd.Stderr = said, said
			if err := startWith(cmd, c.before); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			want := fmt.Sprintf("threads with %v: 4, started anew: %v, marked: false", c.after, c.anew)
			if !strings.Contains(said.String(), want) {
				t.Errorf("it says %q, want %q", said, want)
			}
		})
	}
}

// startWith starts a command whose timers may be that late.
func startWith(cmd *exec.Cmd, late time.Duration) error {
	runtime.LockOSThread() // a process inherits from the thread that starts it
	defer runtime.UnlockOSThread()
	own := slack()
	setSlack(late)
	defer setSlack(own)
	return cmd.Start()
}

// printSlacks says how late the timers of four threads may be.
func printSlacks() {
	found := map[time.Duration]int{}
	var mu sync.Mutex
	var all, ended sync.WaitGroup
	all.Add(4)
	for range 4 {
		ended.Go(func() {
			runtime.LockOSThread()
			all.Done()
			all.Wait() // so that each has a thread of its own
			mu.Lock()
			defer mu.Unlock()
			found[slack()]++
		})
	}
	ended.Wait()
	_, marked := os.LookupEnv(relaxed)
	began, err := os.ReadFile("/proc/self/environ") // as the program was started
	anew := bytes.Contains(began, []byte(relaxed+"=1"))
	for late, n := range found {
		fmt.Printf("threads with %v: %d, started anew: %v, marked: %v %v\n", late, n, anew, marked, err)
	}
}
