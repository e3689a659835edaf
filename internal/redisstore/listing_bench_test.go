package redisstore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// BenchmarkIndexOfACluster reads the index of a Redis Cluster of three masters: a command for each hash slot.
func BenchmarkIndexOfACluster(b *testing.B) {
	for _, rooms := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("rooms=%d", rooms), func(b *testing.B) {
			c := redistest.StartCluster(b, 3)
			s := openOn(b, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
			var all sync.WaitGroup
			for w := range 64 {
				all.Go(func() {
					for i := w; i < rooms; i += 64 {
						room := fmt.Sprint("room-", i)
						committed(b, s, step(room, claimed(b, s, room).Version))
					}
				})
			}
			all.Wait()
			for b.Loop() {
				if names, err := s.Index(b.Context()); len(names) != rooms || err != nil {
					b.Fatalf("%d rooms, %v", len(names), err)
				}
			}
		})
	}
}
