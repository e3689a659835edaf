package httpapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// actions run what operators ask for, apart from the request that asked: a caller who goes away stops waiting, and the
// cycle, which others may wait for too, goes on. Each ends with stop or after its time.
type actions struct {
	time    time.Duration
	stopped chan struct{}

	mu      sync.Mutex
	closed  bool
	free    int // below 0 while more switches than places run
	limit   int
	running sync.WaitGroup
}

func newActions(limit int, atMost time.Duration) *actions {
	return &actions{time: atMost, stopped: make(chan struct{}), free: limit, limit: limit}
}

// do runs one and waits for it as long as ctx lasts. A switch is quick and has as many places again: whoever stops the
// service must not wait behind the cycles. Errors: ErrBusy, ErrUnavailable while stopping, ctx's, or run's own.
func (a *actions) do(ctx context.Context, isSwitch bool, run func(context.Context) (any, error)) (any, error) {
	if err := a.admit(isSwitch); err != nil {
		return nil, err
	}
	apart, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.time)
	type result struct {
		value any
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer a.leave()
		defer cancel()
		value, err := recovered(apart, run)
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

// recovered keeps a panic from ending the process: this is no request's goroutine, so net/http would not.
func recovered(ctx context.Context, run func(context.Context) (any, error)) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("an action panicked: %v\n%s", cause, debug.Stack())
		}
	}()
	return run(ctx)
}

// admit counts both goroutines of an action in.
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

// stop cancels what runs and lets nothing new begin.
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

// wait returns when all have ended, or ctx has. Where none runs it does not matter that ctx has.
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
