package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// livekitView asks LiveKit directly, not through the proxy.
func (w *world) livekitView() (map[string]oracle.View, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return oracle.Listed(ctx, w.api, w.kinds())
}

func (w *world) kinds() []string {
	if w.opts.kinds != nil {
		return w.opts.kinds
	}
	return oracle.CountKinds()
}

// redisView returns Redis as its readers see it.
func (w *world) redisView() (map[string]oracle.View, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := oracle.Read(ctx, w.redis.Client())
	if err != nil {
		return nil, err
	}
	return r.Views(w.kinds())
}

// agree compares Redis with LiveKit. LiveKit raises a participant's version without a webhook, so versions are compared only
// after a sync (exactly). If rooms are given, only they are compared.
func (w *world) agree(exactly bool, rooms ...string) error {
	want, err := w.livekitView()
	if err != nil {
		return fmt.Errorf("LiveKit: %w", err)
	}
	got, err := w.redisView()
	if err != nil {
		return fmt.Errorf("Redis: %w", err)
	}
	for _, all := range []map[string]oracle.View{want, got} {
		maps.DeleteFunc(all, func(name string, _ oracle.View) bool { return len(rooms) > 0 && !slices.Contains(rooms, name) })
	}
	return oracle.Agree(want, got, exactly)
}

// converges waits until webhooks have made Redis equal to LiveKit.
func (w *world) converges(rooms ...string) {
	w.t.Helper()
	eventually.Nil(w.t, patience, "Redis equals LiveKit", func() error { return w.agree(false, rooms...) })
}

// converged checks after a sync, while nothing changes, that both are equal now.
func (w *world) converged() {
	w.t.Helper()
	if err := w.agree(true); err != nil {
		w.t.Errorf("after a completed sync: %v", err)
	}
}

// latency measures how long it takes until a participant is in Redis.
func (w *world) latency(room, sid string) time.Duration {
	w.t.Helper()
	begun := time.Now()
	eventually.Nil(w.t, patience, "the participant is in Redis", func() error {
		raw, err := w.redis.Client().Get(w.ctx(), oracle.StatesKey+room).Result()
		if err == nil && !strings.Contains(raw, sid) {
			err = errors.New("not there")
		}
		return err
	})
	return time.Since(begun)
}
