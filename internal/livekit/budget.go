package livekit

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the pause after LiveKit reported too many requests.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
	// maxRetryAfter is the longest Retry-After that is honoured.
	maxRetryAfter = time.Minute
)

// budget limits how many requests run at once and their rate, and slows down when LiveKit asks for it.
type budget struct {
	slots   chan struct{}
	limiter *rate.Limiter
	// courtesy bounds the requests on behalf of people: few at once, and a small part of the rate.
	courtesy chan struct{}
	spare    *rate.Limiter
	waiting  waiting

	mu      sync.Mutex
	whole   rate.Limit // as configured
	part    float64    // of whole, for this process
	full    rate.Limit // the share of whole
	until   time.Time  // no request before this time
	strikes int        // pauses in a row
}

// newBudget takes the rate in requests per second; 0 means no limit.
func newBudget(concurrency int, perSecond float64) *budget {
	b := &budget{slots: make(chan struct{}, concurrency), limiter: rate.NewLimiter(rate.Inf, burst(perSecond)), part: 1,
		courtesy: make(chan struct{}, max(1, concurrency/courtesyShare)), spare: rate.NewLimiter(rate.Inf, courtesyBurst)}
	b.setRate(perSecond)
	return b
}

// burst is how many requests may go at once.
func burst(perSecond float64) int { return max(1, int(perSecond)) }

// setRate changes the configured rate, of which this process keeps its share.
func (b *budget) setRate(perSecond float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	whole := rate.Inf
	if perSecond > 0 {
		whole = rate.Limit(perSecond)
	}
	if whole != b.whole {
		b.whole = whole
		b.limit(1)
	}
}

// limit sets the limits for this process' share of the whole rate, lowered by a factor. The caller holds mu.
func (b *budget) limit(lowered rate.Limit) {
	b.full = b.whole
	if b.whole == rate.Inf {
		b.limiter.SetLimit(rate.Inf)
		b.spare.SetLimit(rate.Inf)
		return
	}
	b.full *= rate.Limit(b.part)
	b.limiter.SetLimit(b.full * lowered)
	b.limiter.SetBurst(burst(float64(b.full)))
	b.spare.SetLimit(b.full / spareShare)
}

// share sets the rate to that part of the configured one, for a budget that several processes share. A rate that was lowered stays lowered by
// the same factor.
func (b *budget) share(part float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.part = part
	if b.whole != rate.Inf {
		b.limit(b.limiter.Limit() / b.full)
	}
}

func (b *budget) rate() float64 {
	if limit := b.limiter.Limit(); limit != rate.Inf {
		return float64(limit)
	}
	return math.Inf(1)
}

// acquire waits for a slot and then for a turn, at most as long as ctx lasts. If the error is nil the caller must call release.
func (b *budget) acquire(ctx context.Context) (release func(), err error) {
	if isLowPriority(ctx) {
		return b.acquireSpare(ctx)
	}
	b.waiting.enter()
	defer b.waiting.leave()
	if err := b.slot(ctx); err != nil {
		return nil, err
	}
	if err := b.turn(ctx); err != nil {
		<-b.slots
		return nil, err
	}
	return func() { <-b.slots }, nil
}

func (b *budget) slot(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *budget) turn(ctx context.Context) error {
	r := b.limiter.Reserve()
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	for {
		b.mu.Lock()
		left := time.Until(b.until)
		b.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// limited pauses all requests, for as long as LiveKit asked or twice as long as the last time, and halves the rate, down to an eighth. begun
// reports whether this is the first refusal of the pause: requests in flight are refused together.
func (b *budget) limited(retryAfter time.Duration) (pause time.Duration, begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if begun = !now.Before(b.until); begun {
		b.strikes++
		if b.full != rate.Inf {
			b.limiter.SetLimit(max(b.limiter.Limit()/2, b.full/8))
		}
	}
	pause = min(retryAfter, maxRetryAfter)
	if pause <= 0 {
		pause = min(firstPause<<min(b.strikes-1, 10), maxPause)
	}
	if end := now.Add(pause); end.After(b.until) {
		b.until = end
	}
	return pause, begun
}

// canRetry reports whether ctx lasts until the pause is over.
func (b *budget) canRetry(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	end, bounded := ctx.Deadline()
	return ctx.Err() == nil && (!bounded || end.After(b.until))
}

// served raises a lowered rate by a hundredth of the full rate for each request that LiveKit answered.
func (b *budget) served() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.strikes == 0 && b.limiter.Limit() >= b.full || time.Now().Before(b.until) {
		return
	}
	b.strikes = 0
	if limit := b.limiter.Limit(); limit < b.full {
		b.limiter.SetLimit(min(limit+b.full/100, b.full))
	}
}

// sleep fails at once if ctx ends before d has passed.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return context.DeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
