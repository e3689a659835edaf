package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
)

// kept is a Redis that keeps a generation.
type kept struct{ generation uint64 }

func (k *kept) RaiseGeneration(_ context.Context, g uint64) error {
	k.generation = max(k.generation, g)
	return nil
}

func (k *kept) RaiseEpoch(context.Context, uint64, uint64) error { return nil }

func (k *kept) Generation(context.Context) (uint64, error) { return k.generation, nil }

// TestANewerClusterOnThisRedisIsSaid: its fences refuse every write of ours, for which webhooks and syncs cannot tell the reason.
func TestANewerClusterOnThisRedisIsSaid(t *testing.T) {
	t.Parallel()
	for stands, want := range map[uint64]bool{0: false, 6: false, 7: false, 8: true} {
		var log bytes.Buffer
		redis := &kept{stands}
		a := &admin{own: newOwnership(), store: redis, log: slog.New(slog.NewTextHandler(&log, nil))}
		term := cluster.Term{Token: fsm.Token{Generation: 7}}
		a.restoreGeneration(t.Context(), term, actors.Options{DryRun: true})
		if redis.generation != stands {
			t.Errorf("a dry run made %d of %d", redis.generation, stands)
		}
		a.restoreGeneration(t.Context(), term, actors.Options{})
		if said := strings.Contains(log.String(), "another rollcall"); said != want {
			t.Errorf("%d stands: it says %q", stands, log.String())
		}
		if redis.generation != max(stands, 7) {
			t.Errorf("%d became %d", stands, redis.generation)
		}
	}
}
