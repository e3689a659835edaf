//go:build !race

package redisstore_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/testing/harness/storetest"
)

// miniredis interprets each script in this process, which the race detector makes many times slower: make test runs these tests without it.
// rollcall dev uses miniredis when it has no Redis.

// onMini returns a rig on miniredis, with a clock that moves only when it is advanced.
func onMini(t *testing.T) storetest.Rig {
	m := miniredis.RunT(t)
	now := time.Unix(1795399866, 0)
	m.SetTime(now)
	m.ClockTTL(true)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	advance := func(d time.Duration) {
		now = now.Add(d)
		m.SetTime(now)
	}
	return storetest.Rig{Store: open(t, m.Addr(), false), Meddler: storetest.Redis{T: t, Client: client, Clock: advance}}
}

func TestConformanceOnMiniredis(t *testing.T) { storetest.Run(t, onMini) }

func TestTwinOnMiniredis(t *testing.T) { storetest.Twin(t, onMini(t)) }

func TestTwinOnMiniredisWithStagedStates(t *testing.T) {
	r := onMini(t)
	if s, ok := r.Store.(*redisstore.Store); ok {
		s.StageAll()
	}
	storetest.Twin(t, r)
}
