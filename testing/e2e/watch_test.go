package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// watch checks Redis continuously: a room's keys appear, agree and disappear together, at every moment.
type watch struct {
	mu       sync.Mutex
	paused   bool
	looks    int
	problems []string
}

func newWatch(w *world) *watch {
	v := &watch{}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { v.run(ctx, w) })
	w.t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return v
}

func (v *watch) run(ctx context.Context, w *world) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.look(ctx, w)
		case <-ctx.Done():
			return
		}
	}
}

func (v *watch) look(ctx context.Context, w *world) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.paused {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := oracle.Read(ctx, w.redis.Client())
	if err != nil {
		return // Redis is down, so there is nothing to check
	}
	v.looks++
	if _, err := r.Views(w.kinds()); err != nil && len(v.problems) < 3 {
		v.problems = append(v.problems, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// pause suspends the checks while a test itself damages the keys.
func (v *watch) pause() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.paused = true
}

func (v *watch) resume() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.paused = false
}

func (v *watch) report(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.problems {
		t.Errorf("seen in Redis at %s", p)
	}
	if v.looks == 0 {
		t.Error("nobody watched Redis")
	}
}
