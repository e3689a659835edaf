package livekit

import (
	"context"
	"sync"
	"time"
)

const (
	// Requests on behalf of people may take 1/courtesyShare of the concurrent requests and 1/spareShare of the rate.
	courtesyShare = 8
	spareShare    = 10
	// courtesyBurst lets a single look, which is two requests, go at once.
	courtesyBurst = 2
)

type courtesyKey struct{}

// LowPriority marks requests with the returned context as made on behalf of people. Such a request takes a turn only while no other request
// waits for one, and a small part of the budget at most. Without a turn before the deadline of ctx it fails like any other request.
func LowPriority(ctx context.Context) context.Context {
	return context.WithValue(ctx, courtesyKey{}, true)
}

func isLowPriority(ctx context.Context) bool { return ctx.Value(courtesyKey{}) != nil }

// waiting counts the waiting requests that are not on behalf of people. The zero value is ready to use.
type waiting struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when no request waits any more; nil unless someone waits for that
}

func (w *waiting) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
}

func (w *waiting) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count--; w.count == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// ifIdle calls take while no request waits, and returns its result; otherwise it returns a channel that is closed once none waits.
func (w *waiting) ifIdle(take func() bool) (taken bool, idle <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return take(), nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	return false, w.idle
}

// retryTurn is how often a request on behalf of people checks whether a turn is free.
const retryTurn = 20 * time.Millisecond

// acquireSpare waits for one of the few slots for people's requests and for their part of the rate, and then until no other request waits and a
// slot and a turn are free.
func (b *budget) acquireSpare(ctx context.Context) (release func(), err error) {
	select {
	case b.courtesy <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	part := b.spare.Reserve()
	if err := sleep(ctx, part.Delay()); err != nil {
		part.Cancel()
		<-b.courtesy
		return nil, err
	}
	for {
		taken, idle := b.waiting.ifIdle(b.takeFree)
		if taken {
			return func() { <-b.slots; <-b.courtesy }, nil
		}
		if err := wait(ctx, idle); err != nil {
			<-b.courtesy
			return nil, err
		}
	}
}

// takeFree takes a slot and a turn if both are free now and there is no pause.
func (b *budget) takeFree() bool {
	b.mu.Lock()
	paused := time.Now().Before(b.until)
	b.mu.Unlock()
	if paused {
		return false
	}
	select {
	case b.slots <- struct{}{}:
	default:
		return false
	}
	if !b.limiter.Allow() {
		<-b.slots
		return false
	}
	return true
}

// wait waits until idle is closed, or for retryTurn if idle is nil.
func wait(ctx context.Context, idle <-chan struct{}) error {
	if idle == nil {
		return sleep(ctx, retryTurn)
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
