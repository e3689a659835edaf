package livekit

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livekit/protocol/livekit"
	"golang.org/x/time/rate"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// bubbleClient returns a client that calls handler without sockets, so that time can be virtual.
func bubbleClient(t *testing.T, handler http.HandlerFunc, change func(*Options)) *Client {
	return clientOf(t, "livekit.test", func(o *Options) {
		o.Transport = fakelivekit.InProcess(handler)
		if change != nil {
			change(o)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		var waited time.Duration
		client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			answer(w, &livekit.ListRoomsResponse{})
		}, func(o *Options) {
			o.Rate = 10
			o.Observe = func(r Request) { waited += r.Waited }
		})
		start := time.Now()
		for range 40 {
			if _, err := client.ListRooms(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Millisecond); took != 3*time.Second || waited.Round(time.Millisecond) != took {
			t.Errorf("40 requests at 10/s and a burst of 10 took %s, %s of it waiting", took, waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		before, now := calls.Load(), time.Now()
		if _, err := client.ListRooms(ctx); !errors.Is(err, context.DeadlineExceeded) || calls.Load() != before || time.Now() != now {
			t.Errorf("a deadline before its turn: %v", err)
		}
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			running.Add(-1)
			answer(w, &livekit.ListParticipantsResponse{})
		}, func(o *Options) { o.Concurrency = 3 })
		start := time.Now()
		var group sync.WaitGroup
		for range 30 {
			group.Go(func() {
				if _, err := client.Participants(t.Context(), "r"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := client.Participants(ctx, "late"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no free slot within the deadline: %v", err)
		}
		group.Wait()
		if took := time.Since(start); took != 10*time.Second || most.Load() != 3 {
			t.Errorf("30 requests, 3 at once, took %s, %d at once", took, most.Load())
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asks []time.Time
		answers := []string{"7", "", "", "rubbish", "99999999999999999999", "-1", "86400", "ok"}
		client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			i := min(len(asks), len(answers)-1)
			asks = append(asks, time.Now())
			if answers[i] == "ok" {
				answer(w, &livekit.ListRoomsResponse{})
				return
			}
			w.Header().Set("Retry-After", answers[i])
			w.WriteHeader(http.StatusTooManyRequests)
		}, nil)
		if _, err := client.ListRooms(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{7, 2, 4, 8, 16, 30, 60} {
			if pause := asks[i+1].Sub(asks[i]); pause != time.Duration(want)*time.Second {
				t.Errorf("pause %d was %s, not %d s", i+1, pause, want)
			}
		}
	})
}

// TestLimitedWithADeadline checks that a caller that cannot wait for the end of the pause gets ErrLimited at once.
func TestLimitedWithADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := client.Participants(ctx, "r"); !errors.Is(err, ErrLimited) || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestSlowing checks that the rate falls once for requests that are refused together, and rises again.
func TestSlowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(16, 100)
		for range 5 {
			b.limited(0)
		}
		if b.limiter.Limit() != 50 || b.strikes != 1 {
			t.Errorf("after one refusal of five requests: %v/s, %d strikes", b.limiter.Limit(), b.strikes)
		}
		b.served() // the request began before the refusal
		if b.limiter.Limit() != 50 || b.strikes != 1 {
			t.Errorf("served during the pause: %v/s, %d strikes", b.limiter.Limit(), b.strikes)
		}
		for range 6 {
			<-time.After(maxPause)
			b.limited(0)
		}
		if b.limiter.Limit() != 12.5 {
			t.Errorf("lowest rate %v/s", b.limiter.Limit())
		}
		<-time.After(maxPause)
		for range 200 {
			b.served()
		}
		if b.limiter.Limit() != 100 || b.strikes != 0 {
			t.Errorf("recovered to %v/s, %d strikes", b.limiter.Limit(), b.strikes)
		}
	})
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "100000": time.Minute, "1.5": 0, "x": 0,
		now.Add(9 * time.Second).Format(http.TimeFormat):  9 * time.Second,
		now.Add(-9 * time.Second).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, &livekit.ListRoomsResponse{}) },
			func(o *Options) { o.Rate = 30 })
		client.Share(3)
		time.Sleep(time.Minute) // uses up what was saved at the full rate
		start := time.Now()
		for range 40 {
			if _, err := client.ListRooms(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Millisecond); took != 3*time.Second {
			t.Errorf("40 requests at a third of 30/s and a burst of 10 took %s", took)
		}
	})
}

// TestANewShareKeepsTheRateLowered changes the share while LiveKit has slowed this node down, as a change of the membership view does.
func TestANewShareKeepsTheRateLowered(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		b := newBudget(16, 100)
		b.limited(0)
		b.share(0.5)
		if got := b.rate(); got != 25 {
			t.Errorf("half of a rate of 100/s that was halved is %v/s, want 25/s", got)
		}
	})
}

// TestANewRate changes the rate of a process that has a third of it, with and without a limit before and after.
func TestANewRate(t *testing.T) {
	b := newBudget(16, 0)
	b.share(1.0 / 3)
	for _, c := range []struct{ set, want, spare float64 }{{30, 10, 1}, {60, 20, 2}, {0, math.Inf(1), float64(rate.Inf)}, {3, 1, 0.1}} {
		b.setRate(c.set)
		if got := b.rate(); got != c.want && math.Abs(got-c.want) > 1e-9 {
			t.Errorf("a third of %v/s is %v/s, want %v/s", c.set, got, c.want)
		}
		if got := float64(b.spare.Limit()); math.Abs(got-c.spare) > 1e-9 {
			t.Errorf("of a third of %v/s, people's requests may take %v/s, want %v/s", c.set, got, c.spare)
		}
	}
	b.limited(0)
	if b.setRate(3); b.rate() >= 1 {
		t.Error("the same rate again ended the slowing down")
	}
	if b.setRate(6); b.rate() != 2 {
		t.Errorf("a new rate begins at %v/s, want 2/s", b.rate())
	}
}
