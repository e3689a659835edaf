package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// These tests run a whole node in this process, between a real Redis and a fake LiveKit. Each checks one connection between
// its parts, which the parts' own tests cannot check.

// world is such a node with its surroundings.
type world struct {
	*testing.T
	livekit *fakelivekit.Fake
	redis   *redis.Client
	config  config.Config
	daemon  *Daemon
	log     *slog.Logger
}

func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	return newLoggedWorld(t, slog.New(slog.DiscardHandler), flags...)
}

func newLoggedWorld(t *testing.T, log *slog.Logger, flags ...string) *world {
	t.Helper()
	addr := freeaddr.ForTest(t, 1)[0]
	w := &world{T: t, log: log, livekit: fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{"http://" + addr + "/api/livekit-webhook"}})}
	api := httptest.NewServer(w.livekit)
	store := redistest.Start(t)
	w.redis = store.Client()
	w.config = nodetest.Config(t, fakelivekit.Env(api.URL), append([]string{"--node-id=n1", "--http-addr=" + addr, "--data-dir=" + t.TempDir(),
		"--redis-url=" + store.URL(), "--drain-delay=0s", "--livekit-lag=0s", "--sync-interval=1s", "--stale-after=10s"}, flags...)...)
	w.start()
	t.Cleanup(func() {
		w.stop()
		api.CloseClientConnections()
		api.Close()
		w.livekit.Close()
	})
	return w
}

func (w *world) start() {
	w.Helper()
	d, err := Start(w.Context(), w.config, httpapi.Build{}, w.log)
	if err != nil {
		w.Fatal(err)
	}
	w.daemon = d
	w.await("the node is ready", func() error { return d.node.Ready() })
}

func (w *world) stop() {
	w.Helper()
	if err := w.daemon.Stop(); err != nil {
		w.Error(err)
	}
}

func (w *world) restart() {
	w.Helper()
	w.stop()
	w.start()
}

// emptyLiveKit restarts LiveKit, which forgets its rooms and notifies nobody.
func (w *world) emptyLiveKit() {
	w.livekit.Crash()
	w.livekit.Start(false)
}

func (w *world) await(what string, ok func() error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return
		}
		if wait.For(ctx, 20*time.Millisecond) != nil {
			w.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}

// present waits until Redis has that many rooms.
func (w *world) present(rooms int) {
	w.Helper()
	w.await(fmt.Sprintf("%d rooms in Redis", rooms), func() error {
		keys, err := w.redis.Keys(w.Context(), oracle.StatesKey+"*").Result()
		if err == nil && len(keys) != rooms {
			err = fmt.Errorf("there are %d", len(keys))
		}
		return err
	})
}

// fill starts that many rooms, with a participant each.
func (w *world) fill(rooms int) {
	w.Helper()
	for i := range rooms {
		w.livekit.Join(fmt.Sprint("room-", i), fakelivekit.Who{Identity: "anna"})
	}
	w.present(rooms)
}

// report waits for the report of a sync that began after that time and for which ok returns true.
func (w *world) report(after time.Time, ok func(reconcile.Report) bool) (r reconcile.Report) {
	w.Helper()
	w.await("a report", func() error {
		last := node.LastReport(w.daemon.node.Cluster.State(), fsm.KindSync)
		if last == nil || !last.StartedAt.After(after) || !ok(*last) {
			text, _ := json.Marshal(last)
			return fmt.Errorf("the last is %s", text)
		}
		r = *last
		return nil
	})
	return r
}

func holds(r reconcile.Report) bool { return r.Held != nil }

// The breaker's count of cycles survives a change of the leader.
func TestTheBreakerCountsOnUnderTheNextLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--sync-interval=3s")
	w.fill(12)
	// LiveKit must not become empty in the middle of a sync: one that misses only ten rooms removes them.
	w.report(time.Now(), func(reconcile.Report) bool { return true })
	w.emptyLiveKit()
	w.report(time.Time{}, func(r reconcile.Report) bool { return holds(r) && r.Scheduled && r.Held.Cycles == 2 })
	w.restart()
	began := time.Now()
	tooSoon := func(r reconcile.Report) bool { return r.Held != nil && r.Held.Cycles == 2 } // too soon after the previous cycle to count
	if r := w.report(began, func(r reconcile.Report) bool { return r.Scheduled && !tooSoon(r) }); r.Held == nil || r.Held.Cycles != 3 {
		t.Errorf("the third cycle in a row is %+v, want held for 3", r.Held)
	}
}

// Cycles of leaders that follow each other at once do not count as three cycles that agree.
func TestCyclesOfHastyLeadersDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--sync-interval=1h")
	w.fill(12)
	w.emptyLiveKit()
	for range 4 {
		began := time.Now()
		w.restart()
		w.report(began, holds)
	}
	w.present(12)
}

// A room that neither LiveKit nor the index lists is found by the scan that each node starts with.
func TestARoomThatTheIndexLostIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(1)
	w.stop()
	w.emptyLiveKit()
	if err := w.redis.Del(t.Context(), "rooms:index").Err(); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.present(0)
}

// A Redis that has lost everything gets the generation back before the next sync: nodes with older data must not start below
// it.
func TestRedisHasTheGenerationAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--sync-interval=1h", "--stale-after=3h")
	generation := w.daemon.node.Cluster.Status().Generation
	w.report(time.Time{}, func(reconcile.Report) bool { return true })
	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.await("the generation", func() error {
		got, err := w.daemon.store.Generation(t.Context())
		if err == nil && got != generation {
			err = fmt.Errorf("it is %d, want %d", got, generation)
		}
		return err
	})
}

// A cleanup repairs the index.
func TestACleanupRepairsTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--cleanup-interval=1s", "--sync-interval=1h", "--stale-after=3h")
	w.fill(1)
	began := time.Now()
	w.restart() // so that no commit is in flight that would list the room as well
	w.report(began, func(reconcile.Report) bool { return true })
	if err := w.redis.ZAdd(t.Context(), "rooms:index", redis.Z{Score: 7, Member: "room-0"}).Err(); err != nil {
		t.Fatal(err)
	}
	w.await("the common score", func() error {
		score, err := w.redis.ZScore(t.Context(), "rooms:index", "room-0").Result()
		if err == nil && score != 0 {
			err = fmt.Errorf("it is %v", score)
		}
		return err
	})
}

// For as long as --livekit-lag, a list that does not yet show a participant removes nobody.
func TestListsMayLagBehindWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--livekit-lag=1m")
	w.livekit.SetAPIFault(func(fakelivekit.Call) fakelivekit.APIFault { return fakelivekit.APIFault{Empty: true} })
	w.fill(1)
	for range 2 {
		w.report(time.Now(), func(r reconcile.Report) bool { return r.Deferred > 0 })
	}
	w.present(1)
}

// Nodes of one cluster share what LiveKit allows, and relay through a third where two do not reach each other.
func TestNodesShareAndRelay(t *testing.T) {
	t.Parallel()
	addrs := freeaddr.ForTest(t, 2)
	w := newWorld(t, "--node-addr="+addrs[0], "--livekit-rate=100")
	rate := func(n *Daemon, want float64) {
		t.Helper()
		w.await(fmt.Sprint("a rate of ", want), func() error {
			if got := n.livekit.Rate(); got != want {
				return fmt.Errorf("it is %v", got)
			}
			return nil
		})
	}
	rate(w.daemon, 100)
	c := w.config
	c.NodeID, c.NodeAddr, c.Join, c.DataDir, c.HTTPAddr = "n2", addrs[1], addrs[:1], t.TempDir(), "127.0.0.1:0"
	second, err := Start(t.Context(), c, httpapi.Build{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	both := []*Daemon{w.daemon, second}
	for _, n := range both {
		rate(n, 50)
	}
	if slices.ContainsFunc(both, func(n *Daemon) bool { return n.node.Router.Relay == nil }) {
		t.Error("a node of a cluster has no other way to an owner that it does not reach")
	}
	w.fill(9)
	for _, n := range both { // each counts the rooms of both
		w.await("9 people in 9 rooms", func() error {
			points := n.stats.Stats().Points
			if len(points) == 0 || points[len(points)-1].Occupancy == nil || *points[len(points)-1].Occupancy != (reconcile.Occupancy{Rooms: 9, People: 9}) {
				return fmt.Errorf("the points are %+v", points)
			}
			return nil
		})
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	rate(w.daemon, 100)
}
