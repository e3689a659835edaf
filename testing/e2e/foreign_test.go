package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// TestForeignChange lets other programs write our keys. The next sync repairs them and reports what it found.
func TestForeignChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noFeed: true})
	w.join(t, "r", who{Identity: "alice"})
	w.create(t, "other")
	w.converges()
	p, s := oracle.ParticipantsKey+"r", oracle.StatesKey+"r"
	w.watch.pause()
	for _, c := range []struct {
		what   string
		meddle func(pipe redis.Pipeliner)
	}{
		{"another roster", func(pipe redis.Pipeliner) { pipe.Set(w.ctx(), p, `["mallory"]`, 0) }},
		{"no JSON", func(pipe redis.Pipeliner) { pipe.Set(w.ctx(), s, "\x00{", 0) }},
		{"one key gone", func(pipe redis.Pipeliner) { pipe.Del(w.ctx(), p) }},
		{"both keys gone", func(pipe redis.Pipeliner) { pipe.Del(w.ctx(), p, s) }},
		{"a list", func(pipe redis.Pipeliner) { pipe.Del(w.ctx(), p); pipe.RPush(w.ctx(), p, "alice") }},
		{"a stream", func(pipe redis.Pipeliner) {
			pipe.Del(w.ctx(), s)
			pipe.XAdd(w.ctx(), &redis.XAddArgs{Stream: s, Values: []string{"a", "b"}})
		}},
		{"a time to live", func(pipe redis.Pipeliner) { pipe.Expire(w.ctx(), s, time.Hour) }},
		{"the record is gone", func(pipe redis.Pipeliner) { pipe.Del(w.ctx(), "rooms:fence:r") }},
		{"the record is a string", func(pipe redis.Pipeliner) { pipe.Set(w.ctx(), "rooms:fence:r", "x", 0) }},
		{"the index is gone", func(pipe redis.Pipeliner) { pipe.Del(w.ctx(), "rooms:index") }},
		{"the index is a string", func(pipe redis.Pipeliner) { pipe.Set(w.ctx(), "rooms:index", "x", 0) }},
		{"an older state", func(pipe redis.Pipeliner) {
			old := w.redis.Client().Get(w.ctx(), s).Val()
			pipe.Set(w.ctx(), s, strings.Replace(old, `"alice"`, `"ALICE"`, 1), 0)
		}},
	} {
		if _, err := w.redis.Client().TxPipelined(w.ctx(), func(pipe redis.Pipeliner) error { c.meddle(pipe); return nil }); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		report := w.sync(client.ActionOptions{})
		if err := w.agree(true); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		public := c.meddle != nil && !strings.Contains(c.what, "index") && !strings.Contains(c.what, "time to live")
		if public && report.Drift["foreign change"]+report.Drift["lost write"] == 0 {
			t.Errorf("%s: the sync reports %+v", c.what, report)
		}
		t.Logf("%s: drift %v", c.what, report.Drift)
	}
	w.watch.resume()
	w.Kill()
	w.Up()
	// Rooms that the index has lost are found by a slow scan in the background, which begins at a start.
	eventually.Nil(t, patience, "the index is whole", func() error {
		if n := w.redis.Client().ZCard(w.ctx(), "rooms:index").Val(); n != 2 {
			return fmt.Errorf("it has %d rooms", n)
		}
		return nil
	})
	w.join(t, "r", who{Identity: "bob"})
	w.converges()
}

// TestOldKeys checks keys that another program left before rollcall was installed, of rooms that live and of rooms long gone.
func TestOldKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{down: true, noFeed: true})
	w.watch.pause()
	w.create(t, "lives")
	for _, room := range []string{"lives", "gone"} {
		w.redis.Client().Set(w.ctx(), oracle.ParticipantsKey+room, `["old"]`, 0)
		w.redis.Client().Set(w.ctx(), oracle.StatesKey+room, `{"roomName":"`+room+`","isActive":true,"participants":[]}`, 0)
	}
	w.Up()
	w.firstSync()
	eventually.Nil(t, patience, "the old keys are found and go", func() error {
		w.sync(client.ActionOptions{})
		return w.lacks("gone")
	})
	w.watch.resume()
	w.converged()
}
