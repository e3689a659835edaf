// Package proc runs child processes. Every child is waited for, so that none is left as a zombie and anyone can see its end. The
// output of a child is kept.
package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Process is a child that has been started. It is safe for concurrent use, also after its end.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// Start starts the command. It returns the errors of exec.Cmd.Start.
func Start(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid returns the process' id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits until the process has ended and returns its error, nil for exit status 0.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends a signal. The process may have ended by itself.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Ended reports whether the process has ended, waiting at most that long.
func (p *Process) Ended(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// AwaitReady calls ready, 20 ms apart, until it returns nil. If the process or ctx ends first, it returns an error with ready's last.
func (p *Process) AwaitReady(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("it ended by itself (%v): %w", p.err, err)
		case <-ctx.Done():
			return fmt.Errorf("not in time: %w", err)
		}
	}
}

// Kill sends SIGKILL and returns when the process has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}
