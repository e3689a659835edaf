package redistest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

func TestRestartKeepsOrLosesData(t *testing.T) {
	s, ctx := redistest.Start(t), t.Context()
	c := s.Client()
	set := func(v string) {
		t.Helper()
		if err := c.Set(ctx, "k", v, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("stop")
	s.Stop()
	if s.Pid() != 0 {
		t.Error("a stopped server has a pid")
	}
	s.Restart(true)
	if got := c.Get(ctx, "k").Val(); got != "stop" {
		t.Errorf("after stop and restart: %q", got)
	}
	set("kill")
	s.Kill()
	s.Restart(true)
	if got := c.Get(ctx, "k").Val(); got != "kill" {
		t.Errorf("after kill and restart: %q", got)
	}
	s.Restart(false)
	if err := c.Get(ctx, "k").Err(); err != redis.Nil {
		t.Errorf("after a restart without data: %v", err)
	}
	set("flush")
	s.Flush()
	if n := c.DBSize(ctx).Val(); n != 0 {
		t.Errorf("after flush: %d keys", n)
	}
}

func TestPauseHangsUntilResume(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("a paused server answered")
	}
	s.Resume()
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("a resumed server does not answer: %v", err)
	}
	s.Pause()
	s.Stop() // also ends a paused server
}

func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t, 2)
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		if err := c.Client.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range c.Nodes {
		if n := node.Client().DBSize(t.Context()).Val(); n == 0 || n == 5 {
			t.Errorf("%d of 5 keys are on one of two nodes", n)
		}
	}
}
