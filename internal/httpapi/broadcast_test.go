package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// deafWire never reports its last change, like a Redis that hangs.
type deafWire struct {
	wire
	node
	hangs bool
	asked int
}

func (d *deafWire) Last(ctx context.Context) (string, int64, error) {
	d.wire.mu.Lock()
	d.asked++
	hangs := d.hangs
	d.wire.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return "", 0, ctx.Err()
	}
	return "", 0, nil
}

func (d *deafWire) Changed() <-chan struct{} { return nil }

func (d *deafWire) Now() (ClusterStatus, error) { return ClusterStatus{}, nil }

func (d *deafWire) Follow(ctx context.Context, _ string, _ func([]reconcile.FeedEntry)) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestARedisThatHangsDoesNotHoldUpTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(&deafWire{hangs: true}, 1<<20, slog.New(slog.DiscardHandler))
		joined := make(chan error, 3)
		for range cap(joined) {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				_, err := h.join(ctx, "", func() {})
				joined <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		h.close()
		for range cap(joined) {
			if err := <-joined; err == nil {
				t.Error("somebody watches a node that has stopped")
			}
		}
		h.readers.Wait()
		if took := time.Since(began); took > 0 {
			t.Errorf("the stop waited %v for Redis", took)
		}
	})
}

func TestWatchersShareOneStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &deafWire{hangs: true}
		h := newHub(live, 1<<20, slog.New(slog.DiscardHandler))
		ctx, giveUp := context.WithTimeout(context.Background(), time.Second)
		defer giveUp()
		first := make(chan error, 1)
		go func() { _, err := h.join(ctx, "", func() {}); first <- err }()
		synctest.Wait()
		others := make(chan *watcher, 3)
		for range cap(others) {
			go func() {
				w, err := h.join(context.Background(), "", func() {})
				if err != nil {
					t.Error(err)
				}
				others <- w
			}()
		}
		synctest.Wait()
		live.wire.mu.Lock()
		live.hangs = false
		live.wire.mu.Unlock()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first to give up got %v", err)
		}
		for range cap(others) {
			if w := <-others; w != nil {
				defer h.leave(w)
			}
		}
		if live.asked != 2 {
			t.Errorf("Redis was asked %d times, want once by the first and once by one of the others", live.asked)
		}
		h.close()
		h.readers.Wait()
	})
}
