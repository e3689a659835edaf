package redisstore_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/redistest"
)

// TestIndexKeepsLiveRooms lets owners on several nodes take rooms from each other, write and remove them: the index is
// outside the scripts, and yet no live room may be missing from it in the end.
func TestIndexKeepsLiveRooms(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		r := redistest.Start(t)
		race(t, r.Client(), func() *redisstore.Store { return open(t, r.Addr, false) })
	})
	t.Run("Redis Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 2)
		race(t, c.Client, func() *redisstore.Store {
			return openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
		})
	})
}

func race(t *testing.T, client redis.UniversalClient, node func() *redisstore.Store) {
	const owners, rounds, rooms = 4, 800, 200
	var epoch atomic.Uint64
	var wg sync.WaitGroup
	for owner := range owners {
		s := node()
		wg.Go(func() {
			for i := range rounds {
				c := reconcile.Claim{Generation: 1, Epoch: epoch.Add(1), Incarnation: uint64(owner)}
				room := fmt.Sprint(i * rooms / rounds) // they meet in each room for a while
				if err := contend(t, s, room, c, (i+i*rooms/rounds+owner)%2 == 0); err != nil && !errors.Is(err, reconcile.StaleOwner) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	index := client.ZRange(t.Context(), "rooms:index", 0, -1).Val()
	_, states, err := node().States(t.Context(), slices.Collect(roomNames(rooms)))
	if err != nil || len(states) == 0 {
		t.Fatalf("%d live rooms, %v", len(states), err)
	}
	for room := range states {
		if !slices.Contains(index, room) {
			t.Errorf("room %s is live and not in the index", room)
		}
	}
}

func contend(t *testing.T, s *redisstore.Store, room string, c reconcile.Claim, remove bool) error {
	rec, err := s.Claim(t.Context(), room, c)
	if err != nil {
		return err
	}
	next := step(room, rec.Version)
	next.Claim = c
	if remove {
		next.Public, next.State, next.Changes = reconcile.Remove, nil, nil
	}
	_, err = s.Commit(t.Context(), next)
	return err
}

func roomNames(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprint(i)) {
				return
			}
		}
	}
}
