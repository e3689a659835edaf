package node

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/reconcile"
)

// kept is a store that keeps a generation and nothing else.
type kept struct {
	Store
	generation uint64
}

func (k *kept) RaiseGeneration(_ context.Context, g uint64) error {
	k.generation = max(k.generation, g)
	return nil
}

func (k *kept) RaiseEpoch(context.Context, uint64, uint64) error { return nil }

func (k *kept) Generation(context.Context) (uint64, error) { return k.generation, nil }

// TestANewerClusterOnThisRedisIsSaid checks that a newer cluster on this Redis is logged. Its fences refuse every write of this cluster, and
// webhooks and syncs cannot give the reason.
func TestANewerClusterOnThisRedisIsSaid(t *testing.T) {
	t.Parallel()
	for stands, want := range map[uint64]bool{0: false, 6: false, 7: false, 8: true} {
		var log bytes.Buffer
		redis := &kept{generation: stands}
		n := &Node{Ownership: NewOwnership(), config: Config{Store: redis, Log: slog.New(slog.NewTextHandler(&log, nil))}}
		term := cluster.Term{Token: reconcile.Token{Generation: 7}}
		n.restoreGeneration(t.Context(), term, reconcile.Options{DryRun: true})
		if redis.generation != stands {
			t.Errorf("a dry run made %d of %d", redis.generation, stands)
		}
		n.restoreGeneration(t.Context(), term, reconcile.Options{})
		if said := strings.Contains(log.String(), "another rollcall"); said != want {
			t.Errorf("with generation %d in the store it says %q", stands, log.String())
		}
		if redis.generation != max(stands, 7) {
			t.Errorf("%d became %d", stands, redis.generation)
		}
	}
}
