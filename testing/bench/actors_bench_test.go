package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// BenchmarkIdleRooms reports the cost of an idle room of two: heap and stacks after a collection.
func BenchmarkIdleRooms(b *testing.B) {
	for range b.N {
		const rooms = 20000
		host := newHost(b, nullStore{})
		before, goroutines := inUse(), runtime.NumGoroutine()
		for i := range rooms {
			for n := range 2 {
				deliver(b, host, joinOf(fmt.Sprintf("room-%06d", i), n))
			}
		}
		b.ReportMetric(float64(inUse()-before)/rooms, "B/room")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/rooms, "goroutines/room")
		stop(b, host)
	}
}

// BenchmarkDeliver reports webhooks through supervisor, room, step and an in-memory store. The webhooks of one room are
// sequential.
func BenchmarkDeliver(b *testing.B) {
	for _, rooms := range []int{1, 100, 10000} {
		b.Run(fmt.Sprint(rooms, " rooms"), func(b *testing.B) {
			host := newHost(b, memstore.New(memstore.Options{}))
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := int(next.Add(1))
					e := joinOf(fmt.Sprint("room", n%rooms), n%50)
					deliver(b, host, e)
				}
			})
			stop(b, host)
		})
	}
}

func newHost(b *testing.B, store actors.Store) *actors.Host {
	host, err := actors.NewHost(actors.HostConfig{Store: store, Rooms: noRooms{}, Ownership: alone{}, Clock: actors.NewSystemClock(),
		Observer: deaf{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return host
}

func stop(b *testing.B, host *actors.Host) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := host.Stop(ctx); err != nil {
		b.Error(err)
	}
}

func deliver(b *testing.B, host *actors.Host, e reconcile.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := host.Deliver(ctx, e); err != nil {
		b.Error(err)
	}
}

func joinOf(room string, n int) reconcile.Event {
	identity := fmt.Sprint("user", n, "-", room)
	return reconcile.Event{Kind: reconcile.Joined, CreatedAt: 1795399866,
		Room: reconcile.RoomInfo{Name: room, SID: "RM_" + room, CreatedMs: 1795399866205, MaxParticipants: 2, Metadata: `{"topic":"maths"}`},
		Participant: reconcile.Participant{Identity: identity, SID: "PA_" + identity, Name: "User " + identity,
			JoinedAt: 1795399866511 + int64(n), Metadata: `{"role":"student"}`, Kind: "STANDARD", Version: 2}}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

type nullStore struct{}

func (nullStore) Claim(_ context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	return reconcile.Record{Room: room, Claim: c}, nil
}

func (nullStore) Commit(context.Context, reconcile.Commit) (reconcile.Receipt, error) {
	return reconcile.Receipt{}, nil
}

func (nullStore) Delist(context.Context, string, reconcile.Claim, reconcile.Token) error { return nil }

type noRooms struct{}

func (noRooms) ListRooms(context.Context) (reconcile.RoomNames, error) {
	return reconcile.RoomNames{}, nil
}
func (noRooms) Listed(context.Context, []string) (reconcile.RoomList, error) {
	return reconcile.RoomList{}, nil
}

func (noRooms) Participants(context.Context, string) (reconcile.ParticipantList, error) {
	return reconcile.ParticipantList{}, nil
}

type alone struct{}

func (alone) Owner(string) (actors.Place, error) { return actors.Place{Node: "n1"}, nil }
func (alone) Claim(string, reconcile.Claim) (reconcile.Claim, error) {
	return reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}, nil
}
func (alone) Leader() reconcile.Token { return reconcile.Token{} }
func (alone) Members() []actors.Place { return []actors.Place{{Node: "n1"}} }
func (alone) View() context.Context   { return context.Background() }
func (alone) Epoch() uint64           { return 1 }

type deaf struct{}

func (deaf) Committed(reconcile.Cause, bool, time.Duration) {}
func (deaf) Changed(actors.Effect)                          {}
func (deaf) Refused(error)                                  {}
func (deaf) Polled(bool)                                    {}
func (deaf) Crashed()                                       {}
func (deaf) Rooms(int)                                      {}
func (deaf) Holds(_, _ *reconcile.State)                    {}
