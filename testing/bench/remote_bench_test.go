package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/remote"
	"github.com/rollcallhq/rollcall/reconcile"
)

// idle is a host that has done its work before it is asked, so that only the way to it is measured.
type idle struct{ names []string }

func (idle) Deliver(context.Context, reconcile.Event) error { return nil }

func (idle) Survey(context.Context, actors.Batch) (actors.Findings, error) {
	return actors.Findings{}, nil
}

func (idle) Tend(context.Context, actors.Tending) (actors.Tended, error) {
	return actors.Tended{}, nil
}

func (i idle) Names(context.Context) ([]string, error) { return i.names, nil }

func newRemote(b *testing.B, host actors.Owner) *remote.Remote {
	r, err := remote.Open(remote.Config{Listen: "127.0.0.1:0", Host: host, Epoch: func() uint64 { return 1 },
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
	return r
}

// BenchmarkRemote reports requests over loopback between two nodes of one process, for some callers at once, next to calls
// of the same host without a network. Both nodes' work is on the same cores.
func BenchmarkRemote(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		here, there := newRemote(b, idle{}), newRemote(b, idle{})
		for _, way := range []struct {
			name string
			to   actors.Owner
		}{{"remote", here.Peer(there.Addr(), 1)}, {"direct", here.Peer(here.Addr(), 1)}} {
			b.Run(fmt.Sprintf("%s, %d callers", way.name, callers), func(b *testing.B) { callFrom(b, callers, way.to) })
		}
	}
}

func callFrom(b *testing.B, callers int, to actors.Owner) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	event := joinOf("a room", 1)
	done := make(chan error, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		go func() {
			err := error(nil)
			for err == nil && left.Add(-1) >= 0 {
				err = to.Deliver(ctx, event)
			}
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkRemoteNames reports an answer of 100,000 names, as a leader asks each node for before a sync.
func BenchmarkRemoteNames(b *testing.B) {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("room-%032d", i)
	}
	here, there := newRemote(b, idle{}), newRemote(b, idle{names: names})
	to := here.Peer(there.Addr(), 1)
	for b.Loop() {
		if got, err := to.Names(b.Context()); err != nil || len(got) != len(names) {
			b.Fatal(len(got), err)
		}
	}
}
