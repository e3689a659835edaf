package clusterkit

import (
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// Verify checks that everything was correct, once the traffic has stopped: no log mentions a race or a panic, no webhook that got
// its 200 was lost, each room's writes landed in the order of their claims, the feed folds to the keys, and Redis equals LiveKit:
// at once where no webhook was lost, and after one sync in any case.
func (c *Cluster) Verify() Summary {
	c.t.Helper()
	c.AwaitMail()
	all := c.Ledger.Since(time.Time{})
	c.checkWitness()
	c.checkAcknowledged()
	if all.Lost == 0 {
		c.Converges()
	}
	c.Settle()
	// A look that an event asked for may end a second later.
	c.Await("Redis equals LiveKit after a sync", func() error { return c.agree(true) })
	c.Await("the feed folds to the keys", func() error { return oracle.CheckFeed(c.ctx(), c.Redis.Client()) })
	c.checkWitness()
	c.CheckLogs()
	c.t.Logf("the longest wait: %+v", all.Slowest)
	c.t.Logf("%d webhooks; tried again %d, lost %d (failed attempts by status %v); longest wait for a 200 %v, median %v; Redis saw %s",
		all.Webhooks, all.Retried, all.Lost, all.Statuses, all.Longest.Round(time.Millisecond), all.Median.Round(100*time.Microsecond), c.seen())
	return all
}

// Converges waits until Redis equals LiveKit, except for changes that no webhook reports.
func (c *Cluster) Converges() {
	c.t.Helper()
	c.Await("Redis equals LiveKit", func() error { return c.agree(false) })
}

// Generation returns the generation stored in Redis.
func (c *Cluster) Generation() uint64 {
	c.t.Helper()
	n, err := c.Redis.Client().Get(c.ctx(), "rooms:generation").Uint64()
	if err != nil {
		c.t.Fatalf("rooms:generation: %v", err)
	}
	return n
}

func (c *Cluster) seen() string {
	seen := c.witness.Testimony()
	return fmt.Sprintf("%d claims and %d commits, and refused %d of older claims", seen.Claims, seen.Writes, seen.Stale)
}

// Testimony returns what Redis itself has shown of claims and writes so far.
func (c *Cluster) Testimony() Testimony { return c.witness.Testimony() }

func (c *Cluster) checkWitness() {
	c.t.Helper()
	seen := c.witness.Testimony()
	for _, problem := range seen.Problems {
		c.t.Error(problem)
	}
	if seen.Writes == 0 || seen.Claims == 0 {
		c.t.Error("nobody saw any write")
	}
}

// agree compares Redis with the present state of LiveKit.
func (c *Cluster) agree(exactly bool) error {
	want := oracle.Shown(c.LiveKit.Snapshot())
	now, err := oracle.Read(c.ctx(), c.Redis.Client())
	if err != nil {
		return err
	}
	got, err := now.Views(oracle.CountKinds())
	if err != nil {
		return err
	}
	return oracle.Agree(want, got, exactly)
}

// checkAcknowledged checks every 200 against its promise: the event had been committed before it.
func (c *Cluster) checkAcknowledged() {
	c.t.Helper()
	entries, err := c.Redis.Client().XRange(c.ctx(), "rooms:events", "-", "+").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	h, err := readHistory(entries)
	if err != nil {
		c.t.Fatal(err)
	}
	problems := 0 // ten are enough
	for _, w := range c.Ledger.All() {
		if err := h.covers(w); err != nil && problems < 10 {
			problems++
			c.t.Errorf("acknowledged and not committed: %v: %+v; the feed of its room:\n%s", err, w, describeRoom(entries, w.Room))
		}
	}
}

// describeRoom returns the feed of one room, one line per entry.
func describeRoom(entries []redis.XMessage, room string) string {
	var b strings.Builder
	for _, e := range entries {
		if e.Values["room"] == room {
			fmt.Fprintf(&b, "  %s epoch %s version %s %s %s %s %s by %s\n", e.ID, e.Values["epoch"], e.Values["version"], e.Values["n"], e.Values["type"],
				e.Values["identity"], e.Values["sid"], e.Values["cause"])
		}
	}
	return b.String()
}
