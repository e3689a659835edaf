package redisstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestSlotsThatNobodyOwns removes a third of the slots from the cluster, as when a master without a replica is lost and forgotten. The rooms of
// the other slots are still listed.
func TestSlotsThatNobodyOwns(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
	lost, rest := roomsOn(t, c, 0, 10, "room-")
	for _, room := range slices.Concat(lost, rest) {
		committed(t, s, step(room, claimed(t, s, room).Version))
	}
	for _, n := range c.Nodes {
		if err := n.Client().Do(t.Context(), "CLUSTER", "DELSLOTSRANGE", 0, 16384/3-1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(rest)
	until, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		names, _, err := s.Rooms(t.Context(), "", 100, "")
		if errors.Is(err, reconcile.ErrIncomplete) && slices.Equal(names, rest) {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // the client still uses the slots that it knew
		case <-until.Done():
			t.Fatalf("listed are %q with %v, want %q and that it is incomplete", names, err, rest)
		}
	}
}

// TestAWebhooksClaimWaitsForASilentShard checks that it waits as a webhook's commit does, since LiveKit retries a webhook only a few times.
// Other claims fail at once.
func TestAWebhooksClaimWaitsForASilentShard(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	s := openOn(t, &redis.UniversalOptions{Addrs: c.Addrs(), IsClusterMode: true}, true)
	rooms, _ := roomsOn(t, c, 0, 3, "room-")
	claimed(t, s, rooms[0])
	c.Nodes[0].Pause()
	resume := time.AfterFunc(20*time.Second, c.Nodes[0].Resume)
	defer func() {
		if resume.Stop() {
			c.Nodes[0].Resume()
		}
	}()
	silent := func(ctx context.Context, room string) bool {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		_, err := s.Claim(ctx, room, own)
		return err != nil && strings.Contains(err.Error(), "not sent")
	}
	if silent(t.Context(), rooms[0]) {
		t.Fatal("the shard is silent before anybody has waited for it")
	}
	if !silent(t.Context(), rooms[1]) {
		t.Error("a claim that nobody waits for is sent to a silent shard")
	}
	if silent(reconcile.Urgent(t.Context()), rooms[2]) {
		t.Error("a webhook's claim is not sent to a silent shard")
	}
}

// TestAnIndexThatCannotBePutInOrder checks that RepairScores returns the error when Redis is full and somebody gave an entry another score.
func TestAnIndexThatCannotBePutInOrder(t *testing.T) {
	r := redistest.Start(t)
	s := openOn(t, &redis.UniversalOptions{Addrs: []string{r.Addr}}, false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	committed(t, s, step("r", claimed(t, s, "r").Version))
	if err := r.Client().ZAdd(ctx, "rooms:index", redis.Z{Score: 5, Member: "r"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Client().ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.RepairScores(ctx); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a full Redis: %v", err)
	}
	if err := r.Client().ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.RepairScores(ctx); err != nil {
		t.Error(err)
	}
}
