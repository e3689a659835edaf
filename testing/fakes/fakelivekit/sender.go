package fakelivekit

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	maxDepth    = 200 // webhooks that may wait for one room and URL; newer ones beyond that are dropped
	maxAge      = 30  // age in LiveKit's seconds beyond which a webhook whose turn comes is dropped
	maxAttempts = 5
)

// Stats counts webhooks, one per event, copy and URL.
type Stats struct {
	Queued    int // put into a queue
	Waiting   int // in a queue or in flight now, late ones included
	Delivered int // answered with a status that ends the retries and is no error (below 400)
	Refused   int // answered with a status that is never retried: lost
	GivenUp   int // all attempts failed: lost
	Overflow  int // dropped because the queue was full
	Aged      int // dropped as too old when their turn came
	Dropped   int // dropped by a configured fault
	Crashed   int // lost in a crash
}

// letter is one webhook on its way to one URL.
type letter struct {
	event    *livekit.WebhookEvent
	room     string
	url      string
	queuedAt time.Time
	delay    time.Duration
}

type route struct{ room, url string }

// sender keeps one FIFO per room name and URL, with one webhook in flight. A worker lives only while its FIFO holds letters.
type sender struct {
	opts   Options
	client *http.Client

	mu     sync.Mutex
	ctx    context.Context // of the running server; a crash ends it and begins another
	cancel context.CancelFunc
	queues map[route][]letter // a key exists while its worker runs
	stats  Stats
	idle   chan struct{} // closed while nothing waits
	wg     sync.WaitGroup
}

func newSender(opts Options) *sender {
	transport := opts.Transport
	if transport == nil { // waits for an answer as long as the real sender does: without limit
		transport = &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second}
	}
	s := &sender{opts: opts, client: &http.Client{Transport: transport}, queues: map[route][]letter{}, idle: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	close(s.idle)
	return s
}

func (s *sender) enqueue(l letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.queuedAt = time.Now()
	key := route{l.room, l.url}
	waiting, running := s.queues[key]
	if len(waiting) >= maxDepth {
		s.stats.Overflow++
		return
	}
	s.stats.Queued++
	s.began()
	s.queues[key] = append(waiting, l)
	if ctx := s.ctx; !running {
		s.wg.Go(func() { s.work(ctx, key) })
	}
}

// enqueueLate sends a letter outside of its queue, so that later ones overtake it.
func (s *sender) enqueueLate(l letter, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.ctx
	s.stats.Queued++
	s.began()
	s.wg.Go(func() {
		if sleep(ctx, after) {
			l.queuedAt = time.Now()
			s.ended(s.post(ctx, l))
		} else {
			s.ended(crashed)
		}
	})
}

func (s *sender) work(ctx context.Context, key route) {
	for {
		l, ok := s.next(ctx, key)
		if !ok {
			return
		}
		if !sleep(ctx, l.delay) {
			s.ended(crashed)
			return
		}
		s.ended(s.post(ctx, l))
	}
}

// next takes the oldest letter. If there is none it removes the worker's entry, under the same lock under which enqueue checks
// it.
func (s *sender) next(ctx context.Context, key route) (letter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return letter{}, false
	}
	waiting := s.queues[key]
	if len(waiting) == 0 {
		delete(s.queues, key)
		return letter{}, false
	}
	s.queues[key] = waiting[1:]
	return waiting[0], true
}

// reset drops all queued letters, cuts off the ones in flight and waits until the workers have ended.
func (s *sender) reset() {
	s.mu.Lock()
	s.cancel()
	for _, waiting := range s.queues {
		s.stats.Crashed += len(waiting)
		for range waiting {
			s.finished()
		}
	}
	s.queues = map[route][]letter{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.Unlock()
	s.wg.Wait()
}

// began and finished count the waiting letters. Both need the lock.
func (s *sender) began() {
	if s.stats.Waiting == 0 {
		s.idle = make(chan struct{})
	}
	s.stats.Waiting++
}

func (s *sender) finished() {
	s.stats.Waiting--
	if s.stats.Waiting == 0 {
		close(s.idle)
	}
}

func (s *sender) ended(how outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished()
	switch how {
	case delivered:
		s.stats.Delivered++
	case refused:
		s.stats.Refused++
	case gaveUp:
		s.stats.GivenUp++
	case aged:
		s.stats.Aged++
	case crashed:
		s.stats.Crashed++
	}
}

func (s *sender) dropped() {
	s.mu.Lock()
	s.stats.Dropped++
	s.mu.Unlock()
}

// waitIdle returns when nothing waits, at the latest after limit.
func (s *sender) waitIdle(limit time.Duration) {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

func (s *sender) snapshot() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// sleep waits and reports whether the time has passed; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	return wait.For(ctx, d) == nil
}
