package redisstore_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestIndexKeepsLiveRooms lets owners on several nodes take rooms from each other, write and remove them. In the end the index holds the live
// rooms and no other.
func TestIndexKeepsLiveRooms(t *testing.T) {
	t.Parallel()
	t.Run("redis-server", func(t *testing.T) {
		r := redistest.Start(t)
		race(t, func() *redisstore.Store { return open(t, r.Addr, false) })
	})
	t.Run("Redis Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 2)
		race(t, func() *redisstore.Store {
			return openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
		})
	})
}

func race(t *testing.T, node func() *redisstore.Store) {
	const owners, rounds, rooms = 4, 800, 200
	var epoch atomic.Uint64
	var wg sync.WaitGroup
	for owner := range owners {
		s := node()
		wg.Go(func() {
			for i := range rounds {
				c := reconcile.Claim{Generation: 1, Epoch: epoch.Add(1), Incarnation: uint64(owner)}
				room := fmt.Sprint(i * rooms / rounds) // all owners work on each room for a while
				if err := contend(t, s, room, c, (i+i*rooms/rounds+owner)%2 == 0); err != nil && !errors.Is(err, reconcile.StaleOwner) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	index, err := node().Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, states, err := node().States(t.Context(), slices.Collect(roomNames(rooms)))
	if err != nil || len(states) == 0 {
		t.Fatalf("%d live rooms, %v", len(states), err)
	}
	if live := slices.Sorted(maps.Keys(states)); !slices.Equal(live, index) {
		t.Errorf("live are %v, the index has %v", live, index)
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
