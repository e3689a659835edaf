package redisstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
	"github.com/rollcallhq/rollcall/testing/harness/storetest"
)

// open returns a store on the Redis at addr.
func open(t testing.TB, addr string, tags bool) *redisstore.Store {
	t.Helper()
	return openOn(t, &redis.UniversalOptions{Addrs: []string{addr}}, tags)
}

func openOn(t testing.TB, o *redis.UniversalOptions, tags bool) *redisstore.Store {
	t.Helper()
	return openWith(t, o, redisstore.Options{HashTags: tags})
}

func openWith(t testing.TB, o *redis.UniversalOptions, more redisstore.Options) *redisstore.Store {
	t.Helper()
	redisstore.Harden(o)
	s, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), HashTags: more.HashTags, Prefix: more.Prefix, Feed: true, Timeline: true, Node: "n1",
		Kinds: reconcile.Kinds{"STANDARD": true, "SIP": true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// onReal returns a rig on a real redis-server, which it empties.
func onReal(t *testing.T, s *redistest.Server, tags bool) storetest.Rig {
	s.Flush()
	return storetest.Rig{Store: open(t, s.Addr, tags), Meddler: storetest.Redis{T: t, Client: s.Client(), Tags: tags}}
}

// onStaged returns a rig on a real redis-server, which it empties, where no state goes through a script. After the test there is no staged state.
func onStaged(t *testing.T, s *redistest.Server) storetest.Rig {
	s.Flush()
	t.Cleanup(func() { noneStaged(t, s.Client()) })
	store := open(t, s.Addr, false)
	store.StageAll()
	return storetest.Rig{Store: store, Meddler: storetest.Redis{T: t, Client: s.Client()}}
}

func noneStaged(t *testing.T, c redis.UniversalClient) {
	t.Helper()
	if left := c.Keys(context.Background(), "*staged*").Val(); len(left) > 0 {
		t.Errorf("staged states are left: %q", left)
	}
}

// onPrefix returns a rig whose keys have another prefix, on a real redis-server, which it empties. After the test there is no other key.
func onPrefix(t *testing.T, s *redistest.Server, prefix string) storetest.Rig {
	s.Flush()
	t.Cleanup(func() {
		for _, key := range s.Client().Keys(context.Background(), "*").Val() {
			if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(key, "matching:") {
				t.Errorf("a key is called %q", key)
			}
		}
	})
	store := openWith(t, &redis.UniversalOptions{Addrs: []string{s.Addr}}, redisstore.Options{Prefix: prefix})
	return storetest.Rig{Store: store, Meddler: storetest.Redis{T: t, Client: s.Client(), Prefix: prefix}}
}

// onCluster returns a rig on a Redis Cluster, which it empties.
func onCluster(t *testing.T, c *redistest.Cluster) storetest.Rig {
	hands := storetest.Redis{T: t, Client: c.Client, Tags: true}
	hands.Flush()
	return storetest.Rig{Store: openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true), Meddler: hands}
}

func TestConformance(t *testing.T) {
	s := redistest.Start(t)
	t.Run("redis-server", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Rig { return onReal(t, s, false) })
	})
	t.Run("redis-server with hash tags", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Rig { return onReal(t, s, true) })
	})
	t.Run("redis-server with staged states", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Rig { return onStaged(t, s) })
	})
	const prefix = "team-a/rooms."
	t.Run("redis-server with another prefix", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Rig { return onPrefix(t, s, prefix) })
	})
	t.Run("Redis Cluster with another prefix", func(t *testing.T) {
		c := redistest.StartCluster(t, 2)
		storetest.Run(t, func(t *testing.T) storetest.Rig {
			hands := storetest.Redis{T: t, Client: c.Client, Tags: true, Prefix: prefix}
			hands.Flush()
			o := &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}
			return storetest.Rig{Store: openWith(t, o, redisstore.Options{HashTags: true, Prefix: prefix}), Meddler: hands}
		})
	})
	t.Run("Redis Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 2)
		storetest.Run(t, func(t *testing.T) storetest.Rig { return onCluster(t, c) })
	})
}

func TestTwin(t *testing.T) {
	s := redistest.Start(t)
	t.Run("redis-server with hash tags", func(t *testing.T) { storetest.Twin(t, onReal(t, s, true)) })
}
