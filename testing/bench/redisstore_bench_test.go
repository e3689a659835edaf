// Package bench_test measures what docs/benchmarks.md reports, on the machine it runs on.
package bench_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// BenchmarkCommit measures commits to a real Redis on this machine, each of a room with that many people of whom one changes:
// sequentially, and from 64 rooms concurrently, which the store batches.
func BenchmarkCommit(b *testing.B) {
	r := redistest.Start(b, "--appendonly", "no") // the disk is not measured
	o := &redis.UniversalOptions{Addrs: []string{r.Addr}}
	redisstore.Harden(o)
	s, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), Feed: true, Timeline: true, Node: "n1",
		Kinds: reconcile.Kinds{"STANDARD": true}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	var rooms atomic.Int64
	for _, people := range []int{2, 1000} {
		b.Run(fmt.Sprintf("people=%d/one at a time", people), func(b *testing.B) {
			room := newRoom(b, s, rooms.Add(1), people)
			b.ResetTimer()
			r.Client().ConfigResetStat(b.Context())
			for b.Loop() {
				room.commit(b, s)
			}
			b.ReportMetric(scriptTime(b, r), "redis-us/commit")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
		b.Run(fmt.Sprintf("people=%d/64 rooms", people), func(b *testing.B) {
			b.SetParallelism(32) // times GOMAXPROCS, 2 on the machine of docs/benchmarks.md
			before := processorTime(b, r)
			b.RunParallel(func(pb *testing.PB) {
				room := newRoom(b, s, rooms.Add(1), people)
				for pb.Next() {
					room.commit(b, s)
				}
			})
			b.ReportMetric((processorTime(b, r)-before)/float64(b.N), "redis-cpu-us/commit")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// scriptTime returns the time that Redis itself spent in a script, in µs: other programs on this machine affect it less.
func scriptTime(b *testing.B, r *redistest.Server) float64 {
	b.Helper()
	_, stats, _ := strings.Cut(r.Client().Info(b.Context(), "commandstats").Val(), "cmdstat_evalsha:")
	_, per, _ := strings.Cut(stats, "usec_per_call=")
	per, _, _ = strings.Cut(per, ",")
	us, err := strconv.ParseFloat(per, 64)
	if err != nil {
		b.Fatalf("Redis reports no time per script: %q", stats)
	}
	return us
}

// processorTime returns the processor time that Redis has used so far, in µs.
func processorTime(b *testing.B, r *redistest.Server) (us float64) {
	b.Helper()
	info := r.Client().Info(b.Context(), "cpu").Val()
	for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
		_, rest, _ := strings.Cut(info, name)
		text, _, _ := strings.Cut(rest, "\r\n")
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatalf("Redis reports no processor time: %q", info)
		}
		us += seconds * 1e6
	}
	return us
}

type room struct {
	rec    reconcile.Record
	roster []*reconcile.Member
}

func newRoom(b *testing.B, s *redisstore.Store, number int64, people int) *room {
	b.Helper()
	name := fmt.Sprintf("room-%d", number)
	rec, err := s.Claim(b.Context(), name, reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1})
	if err != nil {
		b.Fatal(err)
	}
	r := &room{rec: rec}
	for i := range people {
		r.roster = append(r.roster, person(i, 1))
	}
	return r
}

func person(i int, version uint32) *reconcile.Member {
	return reconcile.NewMember(reconcile.Participant{Identity: fmt.Sprintf("user-%d", i), SID: fmt.Sprintf("PA_%012d", i),
		Name: "A User", Metadata: `{"role":"speaker","avatar":"https://example.com/a.png"}`, JoinedAt: 1795399866511, Version: version})
}

// commit writes the room with one changed member, as an update of metadata does.
func (r *room) commit(b *testing.B, s *redisstore.Store) {
	version := r.rec.Version + 1
	i := int(version) % len(r.roster)
	r.roster[i] = person(i, uint32(version))
	c := reconcile.Commit{Room: r.rec.Room, Claim: r.rec.Claim, Expect: r.rec.Version, Version: version, Prev: r.rec.Version,
		Public: reconcile.Write, State: &reconcile.State{SID: "RM_1", CreatedAt: 1795399866205, Version: version, Roster: r.roster},
		Changes: []reconcile.Change{{Type: reconcile.ParticipantUpdated, Member: r.roster[i], SID: r.roster[i].SID}},
		Cause:   reconcile.ByWebhook, Event: "EV_abcdefghijkl", Time: 1795399866511}
	c.Story = c.Changes
	if _, err := s.Commit(b.Context(), c); err != nil {
		b.Error(err)
	}
	r.rec.Version = version
}
