package redisstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestPrefixesDoNotSeeEachOther lets two stores with different prefixes, of which one begins with the other, keep rooms of the same names in one
// Redis.
func TestPrefixesDoNotSeeEachOther(t *testing.T) {
	single, cluster := redistest.Start(t), redistest.StartCluster(t, 2)
	for name, o := range map[string]redis.UniversalOptions{"one Redis": {Addrs: []string{single.Addr}},
		"hash tags": {Addrs: []string{single.Addr}}, "Redis Cluster": {Addrs: cluster.Addrs(), IsClusterMode: true}} {
		t.Run(name, func(t *testing.T) {
			single.Flush()
			store := func(prefix string) *redisstore.Store {
				mine := o
				return openWith(t, &mine, redisstore.Options{HashTags: name != "one Redis", Prefix: prefix})
			}
			a, b := store("rooms:"), store("rooms:b:")
			for _, s := range []*redisstore.Store{a, b} {
				committed(t, s, step("both", claimed(t, s, "both").Version))
			}
			committed(t, a, step("only-a", claimed(t, a, "only-a").Version))
			raised(t, a, 7)
			a.Drifted("both", reconcile.BySync, 1, []reconcile.Drift{{Reason: "ghost"}})
			eventually.Nil(t, 10*time.Second, "the drift of a", func() error { return drifts(t, a, 1) })
			for s, want := range map[*redisstore.Store][]string{a: {"both", "only-a"}, b: {"both"}} {
				if err := s.Reindex(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				names, _, err := s.Rooms(t.Context(), "", 100, "")
				if slices.Sort(names); err != nil || !slices.Equal(names, want) {
					t.Errorf("rooms %q, want %q (%v)", names, want, err)
				}
			}
			if err := drifts(t, b, 0); err != nil {
				t.Error(err)
			}
			if g, err := b.Generation(t.Context()); g != 0 || err != nil {
				t.Errorf("the generation of b: %d, %v", g, err)
			}
			// An owner that is refused under one prefix is not refused under the other.
			higher := own
			higher.Epoch++
			if _, err := a.Claim(t.Context(), "both", higher); err != nil {
				t.Error(err)
			}
			committed(t, b, step("both", claimed(t, b, "both").Version))
		})
	}
}

func raised(t *testing.T, s *redisstore.Store, generation uint64) {
	t.Helper()
	if err := s.RaiseGeneration(t.Context(), generation); err != nil {
		t.Fatal(err)
	}
}

// drifts returns an error if the drift list does not have that many entries.
func drifts(t *testing.T, s *redisstore.Store, want int) error {
	t.Helper()
	entries, err := s.Drift(t.Context())
	if err == nil && len(entries) != want {
		err = fmt.Errorf("the drift list has %d entries, want %d", len(entries), want)
	}
	return err
}
