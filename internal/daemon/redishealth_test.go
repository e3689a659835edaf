package daemon

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/redisstore"
)

func TestRedisAnswers(t *testing.T) {
	refused := errors.New("connection refused")
	well, down := redisstore.Shard{Addr: "a:1"}, redisstore.Shard{Addr: "b:2", Err: refused}
	for _, c := range []struct {
		shards []redisstore.Shard
		want   httpapi.Dependency
	}{
		{[]redisstore.Shard{well, well}, httpapi.Dependency{State: httpapi.Answers}},
		{[]redisstore.Shard{down}, httpapi.Dependency{State: httpapi.Silent, Error: "connection refused"}},
		{[]redisstore.Shard{well, down}, httpapi.Dependency{State: httpapi.Partial, Error: "b:2: connection refused"}},
		{[]redisstore.Shard{down, down}, httpapi.Dependency{State: httpapi.Silent, Error: "b:2: connection refused"}},
		{[]redisstore.Shard{{Slow: true}}, httpapi.Dependency{State: httpapi.Silent, Error: "redis: no answer for 500ms"}},
		{[]redisstore.Shard{{Err: redisstore.ErrDenied}}, httpapi.Dependency{State: httpapi.Refuses, Error: redisstore.ErrDenied.Error()}},
		{[]redisstore.Shard{{Err: refused, Since: time.Unix(9, 0)}, {Err: refused, Since: time.Unix(7, 0)}, {}},
			httpapi.Dependency{State: httpapi.Partial, Error: ": connection refused", Since: time.Unix(7, 0)}},
	} {
		if got := redisAnswers(c.shards); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.shards, got, c.want)
		}
	}
}
