package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

// idle is a host that answers without doing any work, so that only the path to it is measured.
type idle struct{ names []string }

func (idle) Deliver(context.Context, reconcile.Event) error { return nil }

func (idle) Survey(context.Context, actors.Batch) (actors.Findings, error) {
	return actors.Findings{}, nil
}

func (idle) Cleanup(context.Context, actors.CleanupRequest) (actors.CleanupResult, error) {
	return actors.CleanupResult{}, nil
}

func (i idle) Names(context.Context) ([]string, error) { return i.names, nil }

// newPeers starts a node's RPC endpoint on loopback.
func newPeers(b *testing.B, host actors.Owner) (*rpc.Peers, actors.Place) {
	p := rpc.New(rpc.Config{Node: "n", Host: host, Epoch: func() uint64 { return 1 }, Log: slog.New(slog.DiscardHandler),
		Members: func() []actors.Place { return nil }, Leader: func() string { return "" },
		Owner: func(string) (actors.Place, error) { return actors.Place{}, actors.ErrNotOwner },
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			b.Error(err)
		}
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return p, actors.Place{Node: "n", Incarnation: 1, Epoch: 1, Addr: l.Addr().String()}
}

// BenchmarkRPC reports requests over loopback between two nodes in one process, for several numbers of concurrent callers, next
// to calls of the same host without a network. Both nodes use the same cores; CPU is the time of both.
func BenchmarkRPC(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		here, _ := newPeers(b, idle{})
		_, there := newPeers(b, idle{})
		for _, way := range []struct {
			name string
			to   actors.Owner
		}{{"rpc", here.Peer(there)}, {"direct", idle{}}} {
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
	before := cpuTime(b)
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
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/request")
}

// cpuTime returns the CPU time that this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRPCNames reports an answer of 100,000 names, which a leader requests from each node before a sync.
func BenchmarkRPCNames(b *testing.B) {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("room-%032d", i)
	}
	here, _ := newPeers(b, idle{})
	_, there := newPeers(b, idle{names: names})
	to := here.Peer(there)
	for b.Loop() {
		if got, err := to.Names(b.Context()); err != nil || len(got) != len(names) {
			b.Fatal(len(got), err)
		}
	}
}
