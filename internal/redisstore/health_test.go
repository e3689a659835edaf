package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// watchHealth runs a Health until the test ends.
func watchHealth(t *testing.T, s *redisstore.Store, changed func(redisstore.Shard)) *redisstore.Health {
	t.Helper()
	h := s.NewHealth(changed)
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { h.Run(ctx) })
	t.Cleanup(func() { cancel(); runs.Wait() })
	return h
}

// TestRefusedCommitsAreReported checks that a Redis that answers PING but takes no commits is reported with what is missing and what to do about
// it.
func TestRefusedCommitsAreReported(t *testing.T) {
	primary, replica := redistest.Start(t), redistest.Start(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	if err := replica.Client().Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	// The user's rules are those of docs/security.md, minus one.
	user := func(name string, rules ...any) *redis.UniversalOptions {
		args := append([]any{"ACL", "SETUSER", name, "on", ">x"}, rules...)
		if err := primary.Client().Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		return &redis.UniversalOptions{Addrs: []string{primary.Addr}, Username: name, Password: "x"}
	}
	renamed := redistest.Start(t, "--rename-command", "EVALSHA", "")
	full := redistest.Start(t)
	full.Client().ConfigSet(t.Context(), "maxmemory", "1")
	short := redistest.Start(t, "--min-replicas-to-write", "1")
	for _, c := range []struct {
		what string
		o    *redis.UniversalOptions
		want error
		part string
	}{
		{"a replica", &redis.UniversalOptions{Addrs: []string{replica.Addr}}, redisstore.ErrReplica, "primary"},
		{"a user without scripts", user("a", "~*", "+@all", "-@scripting"), redisstore.ErrForbidden, "security.md"},
		{"a user without EVALSHA", user("b", "~*", "+@all", "-evalsha"), redisstore.ErrForbidden, "evalsha"},
		{"a user without HSET", user("c", "~*", "+@all", "-hset"), redisstore.ErrForbidden, "HSET"},
		{"a user without XADD", user("d", "~*", "+@all", "-xadd"), redisstore.ErrForbidden, "XADD"},
		{"a user without the keys", user("e", "~app:*", "+@all"), redisstore.ErrForbidden, "security.md"},
		{"a wrong password", &redis.UniversalOptions{Addrs: []string{primary.Addr}, Username: "a", Password: "y"}, redisstore.ErrDenied, "in REDIS_URL and restart"},
		{"EVALSHA switched off", &redis.UniversalOptions{Addrs: []string{renamed.Addr}}, redisstore.ErrForbidden, "allow EVAL and EVALSHA"},
		{"no memory", &redis.UniversalOptions{Addrs: []string{full.Addr}}, redisstore.ErrRefusesWrites, "maxmemory"},
		{"too few replicas", &redis.UniversalOptions{Addrs: []string{short.Addr}}, redisstore.ErrRefusesWrites, "min-replicas-to-write"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := openOn(t, c.o, false)
			eventually.True(t, "it holds", func() bool { return errors.Is(s.Ping(t.Context()), c.want) }) // a replica first has to load
			rec, err := s.Claim(t.Context(), "r", own)
			if err == nil {
				_, err = s.Commit(t.Context(), step("r", rec.Version))
			}
			if err == nil {
				t.Fatal("a commit goes through")
			}
			if err := s.Ping(t.Context()); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.part) {
				t.Errorf("got %v, want %q and %q", err, c.want, c.part)
			}
			h := watchHealth(t, s, nil)
			eventually.True(t, "it holds", func() bool { return errors.Is(h.Shards()[0].Err, c.want) })
			// When Redis takes nobody's writes, no other node could do better.
			if ready := h.Ready(); (ready == nil) != errors.Is(c.want, redisstore.ErrRefusesWrites) {
				t.Errorf("ready: %v", ready)
			}
		})
	}
}

// TestTheTryLeavesNothing checks that the user of docs/security.md may do everything that the health check tries, and that the key it writes
// expires.
func TestTheTryLeavesNothing(t *testing.T) {
	r := redistest.Start(t)
	if err := r.Client().Do(t.Context(), "ACL", "SETUSER", "rollcall", "on", ">x", "~rooms:*", "+@read", "+@write", "+@connection",
		"+eval", "+evalsha", "+time", "-@dangerous").Err(); err != nil {
		t.Fatal(err)
	}
	s := openOn(t, &redis.UniversalOptions{Addrs: []string{r.Addr}, Username: "rollcall", Password: "x"}, false)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := r.Client().Keys(t.Context(), "*").Val()
	if len(keys) != 1 || keys[0] != "rooms:health" {
		t.Fatalf("keys %q", keys)
	}
	if ttl := r.Client().TTL(t.Context(), keys[0]).Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("it stays for %v", ttl)
	}
}

// TestNoscriptWithAnotherPrefix checks that a server that puts ERR before the code NOSCRIPT still gets the script's text.
func TestNoscriptWithAnotherPrefix(t *testing.T) {
	m := miniredis.RunT(t)
	m.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if strings.EqualFold(cmd, "EVALSHA") {
			c.WriteError("ERR NOSCRIPT No matching script. Please use EVAL.")
			return true
		}
		return false
	})
	s := open(t, m.Addr(), false)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	committed(t, s, step("a", claimed(t, s, "a").Version))
}

// TestHealthWhileOneShardHangs hangs one of three masters. That master is named, its check delays no other, and the node stays ready.
func TestHealthWhileOneShardHangs(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := watchHealth(t, s, nil)
	slots := func() (all []int) {
		for _, one := range h.Shards() {
			all = append(all, one.Slot)
		}
		return all
	}
	eventually.True(t, "it holds", func() bool { return fmt.Sprint(slots()) == "[0 5461 10922]" && h.Ready() == nil && failing(h) == "[]" })
	c.Nodes[2].Pause()
	defer c.Nodes[2].Resume()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := s.Ping(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	hung := "[" + c.Nodes[2].Addr + "]"
	eventually.True(t, "it holds", func() bool {
		if err := h.Ready(); err != nil {
			t.Fatalf("not ready: %v", err)
		}
		return failing(h) == hung
	})
	for _, one := range h.Shards() {
		if err := one.Failing(); (err == nil) == (one.Addr == c.Nodes[2].Addr) {
			t.Errorf("%s: %v", one.Addr, err)
		}
		if since := one.Since; since.IsZero() == (one.Addr == c.Nodes[2].Addr) || time.Since(since) < 0 {
			t.Errorf("%s fails since %v", one.Addr, since)
		}
	}
	c.Nodes[2].Resume()
	eventually.True(t, "it holds", func() bool { return failing(h) == "[]" })
}

func failing(h *redisstore.Health) string {
	all := []string{}
	for _, one := range h.Shards() {
		if one.Err != nil {
			all = append(all, one.Addr)
		}
	}
	return fmt.Sprint(all)
}

// TestHealthTellsAChangeOnce checks that a change is reported once, however many checks fail.
func TestHealthTellsAChangeOnce(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	var mu sync.Mutex
	var told []string
	count := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told, " ")
	}
	h := watchHealth(t, open(t, r.Addr, false), func(s redisstore.Shard) {
		mu.Lock()
		defer mu.Unlock()
		if s.Addr != r.Addr {
			t.Errorf("shard %+v", s)
		}
		told = append(told, map[bool]string{true: "well", false: "failing"}[s.Err == nil])
	})
	eventually.True(t, "it holds", func() bool { return h.Ready() == nil })
	r.Stop()
	eventually.True(t, "it holds", func() bool { return h.Ready() != nil })
	eventually.True(t, "it holds", func() bool { return count() == "failing" })
	r.Restart(true)
	eventually.True(t, "it holds", func() bool { return h.Ready() == nil && count() == "failing well" })
}
