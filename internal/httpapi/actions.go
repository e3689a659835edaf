package httpapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// actions runs what operators ask for, detached from the request that asked: a caller who disconnects only stops waiting,
// and the sync cycle, which others may wait for too, continues. Each action ends at stop or after its time limit.
type actions struct {
	time     time.Duration
	stopped  chan struct{}
	panicked func() // counts

	mu      sync.Mutex
	closed  bool
	free    int // below 0 while more switches run than there are slots
	limit   int
	running sync.WaitGroup
}

func newActions(limit int, atMost time.Duration) *actions {
	return &actions{time: atMost, stopped: make(chan struct{}), panicked: func() {}, free: limit, limit: limit}
}

// do runs one action and waits for it until ctx ends. Switches are quick and have as many slots again, so that stopping the
// service never waits behind sync cycles. line is written when the action ends, unless it does not begin. Errors: ErrBusy,
// ErrUnavailable while stopping, ctx's, or run's own.
func (a *actions) do(ctx context.Context, isSwitch bool, line *audit, run func(context.Context) (any, error)) (any, error) {
	if err := a.admit(isSwitch); err != nil {
		return nil, err
	}
	line.begin()
	apart, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.time)
	type result struct {
		value any
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer a.leave()
		defer cancel()
		value, err := a.recovered(apart, run)
		line.end(value, err)
		done <- result{value, err}
	}()
	go func() {
		defer a.running.Done()
		select {
		case <-a.stopped:
			cancel()
		case <-apart.Done():
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-a.stopped:
		return nil, fmt.Errorf("shutting down: %w", ErrUnavailable)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recovered keeps a panic from ending the process: net/http recovers only in the goroutines of its requests, and this is
// none of them.
func (a *actions) recovered(ctx context.Context, run func(context.Context) (any, error)) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			a.panicked()
			err = fmt.Errorf("an action panicked: %v\n%s", cause, debug.Stack())
		}
	}()
	return run(ctx)
}

// admit counts in both goroutines of an action.
func (a *actions) admit(isSwitch bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return fmt.Errorf("shutting down: %w", ErrUnavailable)
	case a.free <= 0 && !isSwitch, a.free <= -a.limit:
		return ErrBusy
	}
	a.free--
	a.running.Add(2)
	return nil
}

func (a *actions) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free++
	a.running.Done()
}

// stop cancels the running actions and admits no new one.
func (a *actions) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		close(a.stopped)
	}
}

func (a *actions) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.free == a.limit
}

// wait returns when all actions have ended or ctx has. It returns nil if none runs, even if ctx has ended.
func (a *actions) wait(ctx context.Context) error {
	if a.idle() {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("actions are still running: %w", ctx.Err())
	}
}
