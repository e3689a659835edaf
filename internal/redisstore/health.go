package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	// tryEvery is the interval at which each shard is checked, and tryAgain the interval after a failure and until checks have succeeded for
	// calmAfter. Both are measured from start to start.
	tryEvery  = time.Second
	tryAgain  = 500 * time.Millisecond
	calmAfter = 4 * time.Second
	// tryWithin bounds a check. While one takes longer than slowAfter, the shard is Slow.
	tryWithin = 2 * time.Second
	slowAfter = 500 * time.Millisecond
	// oldAfter is the age at which the last result is no longer valid, such as after a pause of this process.
	oldAfter = 10 * tryEvery
	// keptSeconds is how long the key that a check writes stays.
	keptSeconds = "60"
)

var (
	errUntried = errors.New("redis: it has not been tried yet")
	errSlow    = fmt.Errorf("redis: no answer for %v", slowAfter)
	errOld     = fmt.Errorf("redis: the last try was more than %v ago: did this process stand still, or is it short of CPU?", oldAfter)
)

// Shard is one master of Redis and the result of the last check whether commits go through there. A Redis that is not a Cluster is one shard.
type Shard struct {
	// Slot is the lowest slot that the master owns. All nodes use it as the name of the shard; an address may differ between nodes.
	Slot int
	// Addr is the master's host:port, as the client dials it.
	Addr string
	// Err says why nothing can be committed there and what to do about it; it is nil while commits go through.
	Err error
	// Since is when the first check that found it failing ended; zero while commits go through, and if it is not known.
	Since time.Time
	// Slow is set while a check has waited for an answer for longer than half a second.
	Slow bool
}

// Failing returns Err, or an error while the shard is Slow.
func (s Shard) Failing() error {
	if s.Err == nil && s.Slow {
		return errSlow
	}
	return s.Err
}

// Health checks regularly, on each shard, what a webhook needs. It keeps the last results, so reading them costs nothing.
type Health struct {
	store   *Store
	changed func(Shard)

	mu     sync.Mutex
	shards map[int]*watched // by Slot
	layout error            // why the shards of a Cluster are not known; nil once they are
}

// watched is a shard that is being checked.
type watched struct {
	master
	result error
	ended  time.Time // when the last check ended; zero before the first
	began  time.Time // when the current check began; zero while there is none
	failed time.Time // when a check last failed
	since  time.Time // when the first of the checks failed that have all failed until now; zero after a success
	stop   context.CancelFunc
}

// NewHealth returns a Health that checks nothing before Run. It calls changed when a shard's Err changes, with all that is known about the
// shard, and never concurrently for one shard. changed may be nil.
func (s *Store) NewHealth(changed func(Shard)) *Health {
	if changed == nil {
		changed = func(Shard) {}
	}
	return &Health{store: s, changed: changed, shards: map[int]*watched{}, layout: errUntried}
}

// Run checks all shards until ctx ends. A shard that hangs delays no other.
func (h *Health) Run(ctx context.Context) {
	var tries sync.WaitGroup
	defer tries.Wait()
	for {
		begun := time.Now()
		shards, err := h.store.masters(ctx, h.well())
		if told := h.noteLayout(explain(err)); told != nil {
			h.changed(*told)
		}
		if err == nil {
			h.adopt(ctx, shards, &tries)
		}
		wait := tryEvery
		if err != nil {
			wait = tryAgain
		}
		if !sleepUntil(ctx, begun.Add(wait)) {
			return
		}
	}
}

// noteLayout records why the shards are not known. It returns the Shard to report to changed, or nil. Once the shards are known, the last known
// ones are kept.
func (h *Health) noteLayout(err error) *Shard {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.layout
	if err == nil || len(h.shards) == 0 {
		h.layout = err
	}
	if alike(before, h.layout) || h.layout == nil && errors.Is(before, errUntried) {
		return nil
	}
	return &Shard{Addr: h.store.addr(), Err: h.layout}
}

// adopt starts checking new shards and stops checking those that are gone.
func (h *Health) adopt(ctx context.Context, shards []master, tries *sync.WaitGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := map[int]bool{}
	for _, one := range shards {
		known[one.slot] = true
		if w := h.shards[one.slot]; w != nil {
			w.master = one
			continue
		}
		life, stop := context.WithCancel(ctx)
		w := &watched{master: one, result: errUntried, stop: stop}
		h.shards[one.slot] = w
		tries.Go(func() { h.watch(life, w) })
	}
	for slot, w := range h.shards {
		if !known[slot] {
			w.stop()
			delete(h.shards, slot)
		}
	}
}

// watch checks one shard until ctx ends.
func (h *Health) watch(ctx context.Context, w *watched) {
	defer w.stop()
	for {
		begun, key := h.begin(w)
		try, cancel := context.WithTimeout(ctx, tryWithin)
		err := explain(h.store.try(try, key))
		cancel()
		if ctx.Err() != nil {
			return
		}
		wait := h.end(w, err)
		if !sleepUntil(ctx, begun.Add(wait)) {
			return
		}
	}
}

func (h *Health) begin(w *watched) (now time.Time, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.began = time.Now()
	return w.began, w.key
}

// end records the result of a check and returns how long after its start the next one begins.
func (h *Health) end(w *watched, err error) time.Duration {
	h.mu.Lock()
	now := time.Now()
	before, first := w.result, w.ended.IsZero()
	w.result, w.ended, w.began = err, now, time.Time{}
	if err == nil {
		w.since = time.Time{}
	} else {
		w.failed = now
		if w.since.IsZero() {
			w.since = now
		}
	}
	wait := tryEvery
	if now.Sub(w.failed) < calmAfter {
		wait = tryAgain
	}
	seen := w.seen(now)
	h.mu.Unlock()
	if first && err != nil || !first && !alike(err, before) {
		h.changed(seen)
	}
	return wait
}

// seen returns the shard as callers see it. The caller holds Health.mu.
func (w *watched) seen(now time.Time) Shard {
	s := Shard{Slot: w.slot, Addr: w.addr, Err: w.result, Since: w.since}
	s.Slow = !w.began.IsZero() && now.Sub(w.began) > slowAfter
	if s.Err == nil && now.Sub(w.ended) > oldAfter {
		s.Err = errOld
	}
	return s
}

// Shards returns all shards, sorted by slot. Until the shards of a Cluster are known it returns one, with the reason.
func (h *Health) Shards() []Shard {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.shards) == 0 {
		return []Shard{{Addr: h.store.addr(), Err: h.layout}}
	}
	now := time.Now()
	all := make([]Shard, 0, len(h.shards))
	for _, w := range h.shards {
		all = append(all, w.seen(now))
	}
	slices.SortFunc(all, func(a, b Shard) int { return cmp.Compare(a.Slot, b.Slot) })
	return all
}

// well returns a key of a shard whose last check succeeded, or "".
func (h *Health) well() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.shards {
		if w.result == nil {
			return w.key
		}
	}
	return ""
}

// Ready returns nil while commits to at least one shard go through: no node can repair the others. If Redis refuses everybody's writes
// (ErrRefusesWrites) the node stays ready, since it can do everything that any other node can.
func (h *Health) Ready() error {
	var first error
	for _, s := range h.Shards() {
		if s.Err == nil || errors.Is(s.Err, ErrRefusesWrites) {
			return nil
		}
		first = cmp.Or(first, s.Err)
	}
	return first
}

// Ping checks once what a webhook needs, and returns nil as soon as one shard takes commits. Errors: ErrDenied, ErrForbidden, ErrReplica,
// ErrRefusesWrites, ErrClusterNode when Redis is a Cluster and the client is not made for one, and network errors.
func (s *Store) Ping(ctx context.Context) error {
	known := s.layout.Load()
	if known == nil {
		shards, err := s.masters(ctx, "")
		if err != nil {
			return explain(err)
		}
		known = &shards
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(*known))
	for _, one := range *known {
		go func() { results <- s.try(ctx, one.key) }()
	}
	var first error
	for range *known {
		err := <-results
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return explain(first)
}

// try does what a commit does, on a key that belongs to no room.
func (s *Store) try(ctx context.Context, key string) error {
	if err := s.checkMode(ctx); err != nil {
		return err
	}
	return s.once(ctx, s.scripts.health, []string{key, key + ":2"}, keptSeconds, flag(s.feedMax > 0), flag(s.stories)).Err()
}

// sleepUntil waits until a time and reports whether ctx is still alive.
func sleepUntil(ctx context.Context, at time.Time) bool {
	return wait.For(ctx, time.Until(at)) == nil
}
