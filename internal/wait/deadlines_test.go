package wait

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadlines checks that a context ends at its deadline or less than a step earlier, whoever else has it.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDeadlines(t.Context())
		random := rand.New(rand.NewPCG(1, 2))
		shared, last := 0, context.Context(nil)
		for range 2000 {
			time.Sleep(time.Duration(random.Int64N(int64(time.Millisecond))))
			until := time.Now().Add(Step + time.Duration(random.IntN(3))*time.Second)
			ctx := d.At(until)
			if ctx == last {
				shared++
			}
			last = ctx
			if by, ok := ctx.Deadline(); !ok || by.After(until) || until.Sub(by) >= Step {
				t.Fatalf("it ends at %v, want %v, or less than %v earlier", by, until, Step)
			}
			if d.At(until) != ctx {
				t.Fatal("the same deadline has another context")
			}
			go func() {
				<-ctx.Done()
				if time.Now().After(until) || time.Until(until) >= Step || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("it has ended at %v with %v, want %v", time.Now(), ctx.Err(), until)
				}
			}()
		}
		if shared == 0 {
			t.Error("no context is shared")
		}
		time.Sleep(time.Minute)
	})
}

// TestDeadlinesOfDeadlines checks that a context until the deadline of another one ends at that deadline, wherever it comes from.
func TestDeadlinesOfDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := NewDeadlines(t.Context())
		for range 100 {
			time.Sleep(1234567 * time.Nanosecond)
			by, _ := outer.At(time.Now().Add(time.Second)).Deadline()
			if inner, _ := NewDeadlines(t.Context()).At(by).Deadline(); !inner.Equal(by) {
				t.Fatalf("it ends %v earlier", by.Sub(inner))
			}
		}
	})
}

// TestDeadlinesApart checks that work of several kinds keeps the contexts that it shares.
func TestDeadlinesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, now := NewDeadlines(t.Context()), time.Now()
		var all []time.Time
		for i := range 400 {
			all = append(all, now.Add(time.Duration(i)*100*time.Millisecond))
		}
		for _, until := range all {
			first := d.At(until)
			for _, other := range all {
				_ = d.At(other)
			}
			if d.At(until) != first {
				t.Fatalf("the context of %v is made again", until.Sub(now))
			}
		}
	})
}

func TestDeadlinesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Millisecond)
		life, end := context.WithCancel(t.Context())
		d := NewDeadlines(life)
		for name, over := range map[string]time.Time{"no time": {}, "the past": time.Now().Add(-time.Hour), "now": time.Now()} {
			if err := d.At(over).Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx := d.At(time.Now().Add(time.Hour))
		if err := ctx.Err(); err != nil {
			t.Errorf("before: %v", err)
		}
		end()
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of everything: %v", err)
		}
	})
}

func BenchmarkDeadlines(b *testing.B) {
	d := NewDeadlines(b.Context())
	for b.Loop() {
		_ = d.At(time.Now().Add(time.Second)).Done()
	}
}
