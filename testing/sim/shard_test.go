package sim_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
	"github.com/rollcallhq/rollcall/testing/sim"
)

// TestASyncWhileAShardHangs checks a sync while one of three masters of a Redis Cluster hangs and no webhook has reported any
// room. The sync writes the rooms of the other masters, names the shard that does not answer, and waits for it once, not once per
// hundred rooms.
func TestASyncWhileAShardHangs(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	o := &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}
	redisstore.Harden(o)
	store, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), HashTags: true, Kinds: reconcile.Kinds{"STANDARD": true},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fake := fakelivekit.New(fakelivekit.Options{Seed: 1})
	defer fake.Close()
	const rooms = 600
	well := 0
	for i := range rooms {
		room := fmt.Sprint("room-", i)
		fake.Join(room, fakelivekit.Who{Identity: "ada"})
		if slot := c.Client.ClusterKeySlot(t.Context(), "rooms:states:{"+room+"}").Val(); slot < 2*16384/3 {
			well++ // StartCluster gives the last third of the slots to the last master
		}
	}
	if _, _, err := store.Rooms(t.Context(), "", 1, ""); err != nil {
		t.Fatal(err)
	}
	c.Nodes[2].Pause()
	defer c.Nodes[2].Resume()
	node, err := sim.NewNode(1, store, &sim.LiveKit{Fake: fake, Order: func(string) sim.LookFault { return sim.LookFault{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = node.Host.Stop(context.Background()) }()
	began := time.Now()
	report, err := node.Sweep.Sync(t.Context(), node.Led, reconcile.Options{Scheduled: true})
	took := time.Since(began)
	if err != nil || report.Errors == 0 || !strings.Contains(report.Error, c.Nodes[2].Addr) || report.Synced != well {
		t.Errorf("%d rooms of %d were examined, %d errors: %s, %v", report.Synced, well, report.Errors, report.Error, err)
	}
	names, err := store.Index(t.Context())
	if len(names) != well {
		t.Errorf("%d rooms of %d were written; the index says %v", len(names), well, err)
	}
	if most := 10 * redisstore.Patience; took > most { // waiting once for each room of the hanging shard would take many times as long
		t.Errorf("a sync of %d rooms took %v, more than %v: it waits for the shard again and again", rooms, took, most)
	}
	c.Nodes[2].Resume()
	eventually.True(t, "Redis answers", func() bool {
		report, err := node.Sweep.Sync(t.Context(), node.Led, reconcile.Options{Scheduled: true})
		names, _ := store.Index(t.Context())
		return err == nil && report.Errors == 0 && len(names) == rooms
	})
}
