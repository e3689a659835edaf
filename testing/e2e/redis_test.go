package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// TestRedisDown checks that changes while Redis is down arrive through LiveKit's retries, without a sync.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away, back func(*world)
		covered    time.Duration // by LiveKit's attempts and our Retry-After
	}{
		"killed": {func(w *world) { w.redis.Kill() }, func(w *world) { w.redis.Restart(true) }, 9 * time.Second},
		"paused": {func(w *world) { w.redis.Pause() }, func(w *world) { w.redis.Resume() }, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			alice := w.join(t, "a", who{Identity: "alice"})
			w.converges()
			w.watch.pause()
			c.away(w)
			begun := time.Now()
			alice.Leave()
			w.join(t, "a", who{Identity: "bob"})
			w.join(t, "b", who{Identity: "carol"})
			w.refusesWebhooks()
			if err := w.Probe("/livez", http.StatusOK); err != nil {
				t.Error(err)
			}
			eventually.Nil(t, patience, "/readyz says 503", func() error { return w.Probe("/readyz", http.StatusServiceUnavailable) })
			synced := w.lastSync()
			c.back(w)
			w.watch.resume()
			w.AwaitReady()
			if away := time.Since(begun); away > c.covered {
				t.Logf("this machine took %v: the retries may be over, so a sync has to do it", away)
			} else if w.converges(); w.lastSync() != synced {
				t.Error("a sync came in between: this test is to see the retries alone")
			}
			w.sync(client.ActionOptions{})
			w.converges() // an attempt may be in flight
		})
	}
}

// refusesWebhooks checks for a 503, which makes LiveKit try again, and for when.
func (w *world) refusesWebhooks() {
	w.t.Helper()
	begun := time.Now()
	a := w.hook(joined(w.t, "not now", "x"))
	if again := a.header.Get("Retry-After"); a.status != http.StatusServiceUnavailable || again != "1" && again != "4" {
		w.t.Errorf("a webhook without Redis: %d, Retry-After %q, %s", a.status, again, a.body)
	}
	w.t.Logf("a webhook was refused after %v", time.Since(begun).Round(time.Millisecond))
}

func (w *world) lastSync() time.Time {
	w.t.Helper()
	s, err := w.client.Status(w.ctx())
	if err != nil || s.LastSync == nil {
		w.t.Fatalf("status: %v", err)
	}
	return s.LastSync.StartedAt
}

// TestDryRunAfterALoss checks that a dry run reports what Redis has lost, and that neither it nor its consequences write it
// again. A full sync does.
func TestDryRunAfterALoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.join(t, "a", who{Identity: "alice"})
	w.converges()
	generation := w.redis.Client().Get(w.ctx(), "rooms:generation").Val()
	w.redis.Flush()
	w.seedForeign()
	for range 2 {
		answer, err := w.client.Sync(w.ctx(), client.ActionOptions{DryRun: true})
		if err != nil || answer.Result.Errors != 0 || len(answer.WouldChange) == 0 || answer.WouldChange[0].Room != "a" {
			t.Errorf("the dry run: %+v, %v", answer, err)
		}
		time.Sleep(500 * time.Millisecond) // a poll would have written by now
		if n := w.redis.Client().Exists(w.ctx(), "rooms:states:a", "rooms:participants:a", "rooms:generation", "rooms:events").Val(); n != 0 {
			t.Errorf("after a dry run there are %d of the keys that were lost", n)
		}
	}
	if _, err := w.client.FullSync(w.ctx(), client.ActionOptions{}); err != nil {
		t.Error(err)
	}
	w.converged()
	if now := w.redis.Client().Get(w.ctx(), "rooms:generation").Val(); now != generation || now == "" {
		t.Errorf("the generation was %q and is %q", generation, now)
	}
}

// TestRedisLost checks a Redis that restarts empty. One scheduled sync restores everything, including the generation.
func TestRedisLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world){
		"flushed":            func(w *world) { w.redis.Flush() },
		"restarted, no data": func(w *world) { w.redis.Restart(false) },
		"flushed, then a join": func(w *world) {
			w.redis.Flush()
			w.join(w.t, "a", who{Identity: "late"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{every: "3s"})
			w.join(t, "a", who{Identity: "alice", Metadata: "m"})
			w.join(t, "b", who{Identity: "bob"})
			w.create(t, "c")
			w.converges()
			generation := w.redis.Client().Get(w.ctx(), "rooms:generation").Val()
			lose(w)
			mark := time.Now()
			w.seedForeign()
			w.cycleAfter(mark)
			w.converged()
			// The sync that repairs may be one that was under way at mark, so its report may be replaced by now. The list of drift keeps it.
			eventually.Nil(t, patience, "a sync reports a lost write", func() error {
				drift, err := w.client.Drift(w.ctx(), client.DriftQuery{Reason: "lost write"})
				if err == nil && len(drift.Entries) == 0 {
					err = errors.New("the list of drift has none")
				}
				return err
			})
			if now := w.redis.Client().Get(w.ctx(), "rooms:generation").Val(); now != generation || now == "" {
				t.Errorf("the generation was %q and is %q", generation, now)
			}
			// Changes continue to arrive.
			w.join(t, "b", who{Identity: "carol"})
			w.converges()
		})
	}
}

// TestRedisDownDuringSyncs checks that syncs fail and report it, and that the first complete one afterwards repairs everything.
func TestRedisDownDuringSyncs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{every: "1s"})
	w.inhabit(t)
	w.watch.pause()
	w.redis.Stop()
	eventually.Nil(t, patience, "a sync has failed", func() error {
		s, err := w.client.Status(w.ctx())
		if err == nil && s.LastSync.Result.Errors == 0 {
			err = errors.New("the last one had no errors")
		}
		return err
	})
	w.rename(t, "stays", "alice", "unseen")
	w.redis.Restart(true)
	w.watch.resume()
	eventually.Nil(t, patience, "a sync without errors", func() error {
		if r := w.cycleAfter(time.Now()); r.Result.Errors > 0 {
			return fmt.Errorf("%d errors", r.Result.Errors)
		}
		return nil
	})
	w.converged()
}

// TestStartsWithoutRedis checks that a node that starts before its Redis waits for it.
func TestStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{down: true})
	w.redis.Kill()
	w.join(t, "a", who{Identity: "alice"})
	w.Start()
	eventually.Nil(t, patience, "it lives and is not ready", func() error {
		return errors.Join(w.Probe("/livez", http.StatusOK), w.Probe("/readyz", http.StatusServiceUnavailable))
	})
	w.redis.Restart(true)
	w.AwaitReady()
	w.firstSync()
	w.sync(client.ActionOptions{})
	w.converged()
	if err := w.redis.Client().Ping(context.Background()).Err(); err != nil {
		t.Error(err)
	}
}
