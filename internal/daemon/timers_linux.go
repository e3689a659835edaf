package daemon

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// timerSlack is how late the kernel may fire a timer of this process. With Linux' own 50 µs, Go's runtime wakes up to 14,000 times a second to look
// after its threads while a node works, which took an eighth of the node's processor time. Nothing here needs timers that are more precise than some milliseconds.
const timerSlack = 2 * time.Millisecond

// defaultSlack is Linux' own.
const defaultSlack = 50 * time.Microsecond

// relaxed is the environment variable of a program that RelaxTimers has started anew: it must do so once, whatever the kernel says.
const relaxed = "ROLLCALL_TIMERS_RELAXED"

// RelaxTimers allows the timers of this process to be late, unless whoever started it has set their precision. A thread inherits that from the thread
// that starts it, and the runtime's own thread starts before any of our code runs; so this starts the program anew in the same process, and belongs
// before everything else. Where that is impossible, the program continues as it is: it works as well and needs more processor time.
func RelaxTimers() {
	if _, again := os.LookupEnv(relaxed); again {
		_ = os.Unsetenv(relaxed) // it concerns nobody else
		return
	}
	program, err := self()
	if err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if slack() != defaultSlack || !setSlack(timerSlack) {
		return
	}
	_ = syscall.Exec(program, os.Args, append(os.Environ(), relaxed+"=1"))
	setSlack(defaultSlack) // it is still the same program
}

// self returns the path by which this program was started. The kernel names the process after it. It may be another program's by now, or this
// process may have been started by another one that loads programs.
func self() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", err
	}
	started, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	running, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", err
	}
	if !os.SameFile(started, running) {
		return "", errors.New(path + " is not this program")
	}
	return path, nil
}

// slack returns how late timers of this thread may be.
func slack() time.Duration {
	ns, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_TIMERSLACK, 0, 0)
	return time.Duration(ns)
}

// setSlack sets it, and reports whether the kernel did so.
func setSlack(d time.Duration) bool {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, uintptr(d), 0)
	return errno == 0
}
