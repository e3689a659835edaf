package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// counting counts the calls of a store, and fails claims while a test wants it to.
type counting struct {
	*memstore.Store
	claims, pages atomic.Int64
	fail          atomic.Bool
}

func (c *counting) Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error) {
	c.claims.Add(1)
	if c.fail.Load() {
		return reconcile.Record{}, context.DeadlineExceeded
	}
	return c.Store.Claim(ctx, room, claim)
}

func (c *counting) Rooms(ctx context.Context, cursor string, limit int, search string) ([]string, string, error) {
	c.pages.Add(1)
	return c.Store.Rooms(ctx, cursor, limit, search)
}

// inIndex runs a host over rooms that theirs has claimed.
func inIndex(t *testing.T, rooms int, theirs reconcile.Claim, fail bool, test func(store *counting)) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memstore.New(memstore.Options{})}
		for i := range rooms {
			room := fmt.Sprintf("room-%04d", i)
			if _, err := store.Store.Claim(t.Context(), room, theirs); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Store.Commit(t.Context(), reconcile.Commit{Room: room, Claim: theirs, Version: 1, Public: reconcile.Write,
				State: &reconcile.State{SID: "RM", Version: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		store.fail.Store(fail)
		own := newOwnership()
		own.claim, own.leader = reconcile.Claim{Generation: 2, Epoch: 9, Incarnation: 9}, reconcile.Token{Generation: 2, Index: 9}
		host, err := actors.NewHost(actors.HostConfig{Store: store, Index: store, Rooms: newLivekit(), Ownership: own, Clock: actors.NewSystemClock(),
			Observer: &observer{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		test(store)
		if err := host.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

// TestRefusedClaimsBackOff has rooms that a later owner has claimed, because a second rollcall uses this Redis or because this node's data
// directory is an older copy. They stay claimed for as long as that lasts.
func TestRefusedClaimsBackOff(t *testing.T) {
	const rooms, minutes = 2000, 30
	inIndex(t, rooms, reconcile.Claim{Generation: 3, Epoch: 1, Incarnation: 1}, false, func(store *counting) {
		time.Sleep(minutes * time.Minute)
		each, pages := store.claims.Load()/rooms, store.pages.Load()
		if each > minutes || pages > 10*minutes || each < 2 {
			t.Errorf("in %d min each of %d rooms was claimed %d times, with %d pages of the index", minutes, rooms, each, pages)
		}
	})
}

// TestFailedClaimsAreRepeatedSoon checks that rooms are claimed soon after Redis is back, because only then is the previous owner refused.
func TestFailedClaimsAreRepeatedSoon(t *testing.T) {
	const rooms = 50
	inIndex(t, rooms, reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}, true, func(store *counting) {
		time.Sleep(10 * time.Minute)
		store.fail.Store(false)
		time.Sleep(6 * time.Second)
		before := store.claims.Load()
		time.Sleep(10 * time.Minute)
		if again := store.claims.Load() - before; again != 0 {
			t.Errorf("%d claims after all had been made", again)
		}
		for i := range rooms {
			r, err := store.Store.Claim(context.Background(), fmt.Sprintf("room-%04d", i), reconcile.Claim{Generation: 2, Epoch: 9, Incarnation: 9})
			if err != nil || r.Claim.Epoch != 9 {
				t.Fatalf("room %d: %+v, %v", i, r.Claim, err)
			}
		}
	})
}
