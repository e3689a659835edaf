package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// soon is far below what a batch waits for a shard that hangs, and far above what a busy machine needs.
const soon = redisstore.Patience / 2

// shardOf returns the number of the master that holds the key, by the slots that StartCluster assigned.
func shardOf(t *testing.T, c *redistest.Cluster, key string) int {
	t.Helper()
	slot, err := c.Client.ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Nodes {
		if int(slot) < (i+1)*16384/len(c.Nodes) {
			return i
		}
	}
	t.Fatal("no shard")
	return 0
}

// roomsOn returns names of rooms on the hung shard and on the others.
func roomsOn(t *testing.T, c *redistest.Cluster, hung, each int, prefix string) (there, elsewhere []string) {
	t.Helper()
	for i := 0; len(there) < each || len(elsewhere) < each; i++ {
		room := fmt.Sprint(prefix, i)
		switch on := shardOf(t, c, "rooms:states:{"+room+"}") == hung; {
		case on && len(there) < each:
			there = append(there, room)
		case !on && len(elsewhere) < each:
			elsewhere = append(elsewhere, room)
		}
	}
	return there, elsewhere
}

// load sends webhooks for rooms: one at a time for each room, as LiveKit does.
type load struct {
	mu      sync.Mutex
	ok, bad int
	worst   time.Duration
	first   error
}

func (l *load) did(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.worst = max(l.worst, took)
	if err == nil {
		l.ok++
		return
	}
	l.bad++
	if l.first == nil {
		l.first = err
	}
}

// run claims each room and commits to it until the context ends.
func (l *load) run(until context.Context, s *redisstore.Store, rooms []string) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, room := range rooms {
		all.Go(func() {
			for version, claimed := uint64(0), false; until.Err() == nil; {
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				err := error(nil)
				if claimed {
					c := step(room, version)
					c.Cause = reconcile.ByWebhook
					_, err = s.Commit(ctx, c)
				} else {
					var rec reconcile.Record
					rec, err = s.Claim(ctx, room, own)
					version = rec.Version
				}
				cancel()
				l.did(time.Since(began), err)
				if err == nil && claimed {
					version++
				}
				if claimed = err == nil; claimed {
					continue
				}
				select { // the pause before LiveKit retries
				case <-time.After(time.Second):
				case <-until.Done():
				}
			}
		})
	}
	return &all
}

// TestAShardThatHangsLeavesTheOthersAlone hangs each of the three masters of a Redis Cluster in turn, as when its machine swaps, or is cut off
// until the failover. Rooms of the other two, new ones included, do not wait for it. Lists omit its rooms and name it. It is used again when it
// answers.
func TestAShardThatHangsLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	for hung := range 3 {
		t.Run(fmt.Sprint("shard ", hung), func(t *testing.T) {
			c := redistest.StartCluster(t, 3)
			s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
			there, elsewhere := roomsOn(t, c, hung, 40, "room-")
			for _, room := range slices.Concat(there, elsewhere) {
				committed(t, s, step(room, claimed(t, s, room).Version))
			}
			_, fresh := roomsOn(t, c, hung, 20, "new-")
			c.Nodes[hung].Pause()
			defer c.Nodes[hung].Resume()
			until, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			var sick, well load
			running := []*sync.WaitGroup{sick.run(until, s, there), well.run(until, s, elsewhere), well.run(until, s, fresh)}
			for _, all := range running {
				all.Wait()
			}
			if well.bad > 0 || well.ok < len(elsewhere)+len(fresh) || well.worst > soon {
				t.Errorf("rooms whose shard is well: %d calls, %d failed (%v), the slowest took %v", well.ok, well.bad, well.first, well.worst)
			}
			if sick.ok > 0 || sick.bad == 0 {
				t.Errorf("rooms whose shard hangs: %d calls succeed, %d fail: does it hang?", sick.ok, sick.bad)
			}
			another := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
			for _, room := range elsewhere { // a node that starts while the shard hangs
				claimed(t, another, room)
			}
			listed(t, s, c.Nodes[hung].Addr, slices.Concat(elsewhere, fresh))
			c.Nodes[hung].Resume()
			recovered(t, s, there[0], slices.Concat(there, elsewhere, fresh))
		})
	}
}

// recovered waits until a room of the shard that hung can be claimed and lists are complete.
func recovered(t *testing.T, s *redisstore.Store, room string, all []string) {
	t.Helper()
	slices.Sort(all)
	eventually.True(t, "it holds", func() bool {
		names, err := s.Index(t.Context())
		_, refused := s.Claim(t.Context(), room, own)
		return err == nil && refused == nil && slices.Equal(names, all)
	})
}

// listed checks lists while a shard hangs: they return the rooms of the others quickly, and an error that names the hung shard.
func listed(t *testing.T, s *redisstore.Store, addr string, want []string) {
	t.Helper()
	slices.Sort(want)
	incomplete := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, reconcile.ErrIncomplete) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: the error is %v, want one that names %s", what, err, addr)
		}
	}
	began := time.Now()
	names, err := s.Index(t.Context())
	incomplete("index", err)
	if !slices.Equal(names, want) {
		t.Errorf("the index gives %v, want %v", names, want)
	}
	var paged []string
	for cursor := ""; ; {
		names, next, err := s.Rooms(t.Context(), cursor, 7, "")
		incomplete("a page", err)
		if paged = append(paged, names...); next == "" {
			break
		}
		cursor = next
	}
	if !slices.Equal(paged, want) {
		t.Errorf("pages give %v, want %v", paged, want)
	}
	if n, err := s.Count(t.Context()); n != int64(len(want)) {
		t.Errorf("%d rooms are counted, %v", n, err)
	}
	_, states, err := s.States(t.Context(), want)
	if len(states) != len(want) || err != nil {
		t.Errorf("states of %d rooms, %v", len(states), err)
	}
	for _, call := range []func() error{
		func() error { return s.RaiseGeneration(t.Context(), 7) },
		func() error { _, err := s.Generation(t.Context()); return err },
	} {
		_ = call() // the key is on one of the shards
	}
	if took := time.Since(began); took > 2*redisstore.Patience {
		t.Errorf("the lists took %v", took)
	}
}

// TestStatesOfAShardThatHangs checks that the rooms of the other shards are still read.
func TestStatesOfAShardThatHangs(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
	there, elsewhere := roomsOn(t, c, 1, 3, "room-")
	for _, room := range slices.Concat(there, elsewhere) {
		committed(t, s, step(room, claimed(t, s, room).Version))
	}
	c.Nodes[1].Pause()
	defer c.Nodes[1].Resume()
	_, states, err := s.States(t.Context(), slices.Concat(there, elsewhere))
	if len(states) != len(elsewhere) || !errors.Is(err, reconcile.ErrIncomplete) || !strings.Contains(err.Error(), c.Nodes[1].Addr) {
		t.Errorf("states of %d rooms, %v", len(states), err)
	}
	if _, _, err := s.States(t.Context(), there); err == nil || errors.Is(err, reconcile.ErrIncomplete) {
		t.Errorf("states of rooms of which none can be read: %v", err)
	}
}

// TestAnIndexKeyOfAWrongType checks that an index key of a slot is replaced if others store another type there: by the room's next commit, and
// also by a commit that only checks the public keys.
func TestAnIndexKeyOfAWrongType(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
	ctx, room := t.Context(), "room-123"
	meddle := func() {
		t.Helper()
		if err := c.Client.Del(ctx, "rooms:index:{42762}").Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Client.SAdd(ctx, "rooms:index:{42762}", "foreign").Err(); err != nil {
			t.Fatal(err)
		}
	}
	listed := func(what, want string) {
		t.Helper()
		if names, err := s.Index(ctx); fmt.Sprint(names, err) != want {
			t.Errorf("%s: the index gives %v, %v", what, names, err)
		}
	}
	meddle()
	listed("before", "[] <nil>")
	committed(t, s, step(room, claimed(t, s, room).Version))
	listed("after a commit", "[room-123] <nil>")
	meddle()
	look := step(room, 1)
	look.Version, look.Verify = look.Expect, reconcile.VerifyAll
	committed(t, s, look)
	listed("after a commit that only verifies", "[room-123] <nil>")
	meddle()
	if err := s.Reindex(ctx, 0); err != nil {
		t.Error(err)
	}
	listed("after a scan", "[room-123] <nil>")
	meddle()
	committed(t, s, reconcile.Commit{Room: room, Claim: own, Expect: 1, Version: 2, Public: reconcile.Remove})
	if err := s.Delist(ctx, room, own, reconcile.Token{}); err != nil {
		t.Error(err)
	}
	listed("after the room has gone", "[] <nil>")
}
