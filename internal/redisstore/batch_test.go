package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a sender that takes as long as the test says, and checks the batcher's guarantees.
type wire struct {
	t    *testing.T
	took time.Duration

	mu     sync.Mutex
	flying map[string]bool
	sent   []string // the only argument of each request, in the order of the batches
	sizes  []int
	most   int
	now    int
}

func (w *wire) send(batch []*request) error {
	w.mu.Lock()
	w.now++
	w.most = max(w.most, w.now)
	w.sizes = append(w.sizes, len(batch))
	for _, r := range batch {
		if w.flying[r.room] {
			w.t.Errorf("room %q is in flight twice", r.room)
		}
		w.flying[r.room] = true
		w.sent = append(w.sent, r.args[0].(string))
	}
	w.mu.Unlock()
	time.Sleep(w.took) // virtual: the sender's time, not the test's
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	for _, r := range batch {
		w.flying[r.room] = false
		r.done <- answer{reply: []any{r.args[0]}}
	}
	return nil
}

func newWire(t *testing.T) (*wire, *batcher) {
	w := &wire{t: t, took: time.Second, flying: map[string]bool{}}
	return w, newBatcher(w.send)
}

func ask(ctx context.Context, b *batcher, room, what string) error {
	_, err := b.do(ctx, &request{room: room, args: []any{what}})
	return err
}

func TestBatchesGatherWhileOneIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				if err := ask(t.Context(), b, fmt.Sprint(i), "x"); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		b.close()
		if w.most != 2 || !slices.Equal(w.sizes, []int{1, secondFrom, 128, 128, 300 - 1 - secondFrom - 128 - 128}) {
			t.Errorf("batches of %v, %d at once", w.sizes, w.most)
		}
	})
}

func TestARoomKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		var wg sync.WaitGroup
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprint(i))
			wg.Go(func() { _ = ask(t.Context(), b, "a", fmt.Sprint(i)) })
			synctest.Wait()
		}
		began := time.Now()
		if err := ask(t.Context(), b, "b", "b"); err != nil || time.Since(began) != 2*w.took { // for the batch in flight, and its own
			t.Errorf("another room waited %v: %v", time.Since(began), err)
		}
		wg.Wait()
		got := slices.DeleteFunc(w.sent, func(s string) bool { return s == "b" })
		if !slices.Equal(got, want) {
			t.Errorf("sent in the order %v", got)
		}
	})
}

func TestLargeRequestsMakeSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		var wg sync.WaitGroup
		large := string(make([]byte, batchBytes/2))
		for i := range 6 {
			wg.Go(func() { _ = ask(t.Context(), b, fmt.Sprint(i), large) })
			synctest.Wait()
		}
		wg.Wait()
		if !slices.Equal(w.sizes, []int{1, 2, 2, 1}) {
			t.Errorf("batches of %v", w.sizes)
		}
	})
}

func TestCallersThatLeftAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		var wg sync.WaitGroup
		for _, what := range []string{"sent", "left", "waits"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if what == "left" {
				ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
			}
			wg.Go(func() {
				defer cancel()
				if err := ask(ctx, b, "a", what); errors.Is(err, context.DeadlineExceeded) != (what == "left") {
					t.Errorf("%s: %v", what, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.Equal(w.sent, []string{"sent", "waits"}) {
			t.Errorf("sent: %v", w.sent)
		}
	})
}

// TestALaneThatHangsHoldsUpNoOther puts the rooms whose name begins with "h" on a shard that takes a minute for each batch. The other shard's
// rooms do not wait for it.
func TestALaneThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		b.lane = func(_ context.Context, r *request) string { return r.room[:1] }
		b.send = func(batch []*request) error {
			for _, r := range batch {
				if r.room[0] != batch[0].room[0] {
					t.Errorf("one batch has the rooms %q and %q of two shards", batch[0].room, r.room)
				}
			}
			if batch[0].room[0] == 'h' {
				time.Sleep(time.Minute) // virtual: the shard's time, not the test's
			}
			return w.send(batch)
		}
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { _ = ask(t.Context(), b, fmt.Sprint("h", i), "x") })
			synctest.Wait()
		}
		began := time.Now()
		for i := range 10 {
			if err := ask(t.Context(), b, fmt.Sprint("w", i), "x"); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 10*w.took {
			t.Errorf("ten batches of the other shard took %v", took)
		}
		wg.Wait()
		b.close()
		if len(b.lanes) != 0 {
			t.Errorf("%d lanes are left", len(b.lanes))
		}
	})
}

// TestWhatWaitsForOneShardIsBounded also checks that a silent shard takes patient requests only.
func TestWhatWaitsForOneShardIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWire(t)
		silent := errors.New("silent")
		b.check = func(string) error { return silent }
		if err := ask(t.Context(), b, "a", "x"); !errors.Is(err, silent) {
			t.Errorf("a request that need not wait: %v", err)
		}
		if _, err := b.do(t.Context(), &request{room: "a", args: []any{"x"}, patient: true}); err != nil {
			t.Errorf("one that waits: %v", err)
		}
		b.check = func(string) error { return nil }
		large := string(make([]byte, laneBytes/4))
		var wg sync.WaitGroup
		for i := range 1 + 4 { // one is in flight, four fill the queue
			wg.Go(func() { _ = ask(t.Context(), b, fmt.Sprint(i), large) })
			synctest.Wait()
		}
		if err := ask(t.Context(), b, "one more", "x"); !errors.Is(err, errQueue) {
			t.Errorf("one more than there is room for: %v", err)
		}
		wg.Wait()
		if err := ask(t.Context(), b, "one more", "x"); err != nil || len(w.sent) != 1+6 {
			t.Errorf("afterwards: %v, %d sent", err, len(w.sent))
		}
	})
}

func TestCloseAnswersEveryone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := newWire(t)
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- ask(t.Context(), b, "a", "x") }()
			synctest.Wait()
		}
		b.close()
		if first, second := <-results, <-results; !errors.Is(first, errClosed) || second != nil {
			t.Errorf("queued: %v, in flight: %v", first, second)
		}
		if err := ask(t.Context(), b, "a", "x"); !errors.Is(err, errClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}
