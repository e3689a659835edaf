package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// follower collects what Follow passes on.
type follower struct {
	mu   sync.Mutex
	seen []reconcile.FeedEntry
}

func (f *follower) take(changes []reconcile.FeedEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, changes...)
}

func (f *follower) rooms() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rooms []string
	for _, c := range f.seen {
		rooms = append(rooms, c.Room)
	}
	return rooms
}

// follow starts a follower of s. The function it returns stops the follower and returns Follow's error.
func follow(t *testing.T, s *redisstore.Store) (*follower, func() error) {
	t.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(t.Context())
	rec := claimed(t, s, "begin")
	committed(t, s, step("begin", rec.Version))
	var last string
	eventually.True(t, "the stream is there", func() (there bool) {
		var err error
		last, _, err = s.LastChange(ctx)
		return err == nil && last != "0-0"
	})
	ended := make(chan error, 1)
	go func() { ended <- s.Follow(ctx, last, f.take) }()
	committed(t, s, step("begin", rec.Version+1))
	eventually.True(t, "a change is followed", func() bool { return len(f.rooms()) > 0 })
	return f, func() error {
		cancel()
		return <-ended
	}
}

// TestFollow follows the feed when there are no hash tags, and rooms:recent with hash tags or without a feed.
func TestFollow(t *testing.T) {
	t.Parallel()
	single := redistest.Start(t)
	cluster := redistest.StartCluster(t, 2)
	for name, o := range map[string]redisstore.Options{
		"feed":    {Client: client(single.Addr), Feed: true},
		"tags":    {Client: client(single.Addr), Feed: true, HashTags: true},
		"no feed": {Client: client(single.Addr)},
		"cluster": {Client: client(cluster.Addrs()...), Feed: true, HashTags: true},
	} {
		t.Run(name, func(t *testing.T) {
			single.Flush()
			o.Kinds = reconcile.Kinds{"STANDARD": true}
			s, err := redisstore.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			f, end := follow(t, s)
			var want []string
			for i := range 30 {
				room := fmt.Sprintf("%s %d", name, i)
				claimed(t, s, room)
				committed(t, s, step(room, 0))
				want = append(want, room)
			}
			eventually.True(t, "all changes", func() bool { return len(f.rooms()) > 0 && f.rooms()[len(f.rooms())-1] == want[29] })
			if got := slices.DeleteFunc(f.rooms(), func(room string) bool { return room == "begin" }); !slices.Equal(got, want) {
				t.Errorf("followed %q, want %q", got, want)
			}
			if err := end(); !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			resumes(t, s, f.seen)
			if there, err := single.Client().Exists(t.Context(), "rooms:recent").Result(); err != nil || name == "feed" && there != 0 {
				t.Errorf("rooms:recent is written although the feed has the same: %v", err)
			}
		})
	}
}

// resumes checks that Since returns what follows an id, in pages.
func resumes(t *testing.T, s *redisstore.Store, all []reconcile.FeedEntry) {
	t.Helper()
	last := all[len(all)-1]
	if last.Type != reconcile.RoomSnapshot || last.SID != "RM_1" || last.Version != 1 || !strings.Contains(string(last.Data), `"PA_u"`) {
		t.Errorf("the last change is %+v", last)
	}
	from := all[len(all)-6]
	ask := func(after string, entries int) reconcile.FeedPart {
		t.Helper()
		part, err := s.Since(t.Context(), reconcile.FeedQuery{After: after, Entries: entries, Bytes: 1 << 20})
		if err != nil {
			t.Errorf("since %q: %v", after, err)
		}
		return part
	}
	got := ask(from.ID, 5)
	if got.More || len(got.Changes) != 5 || got.Looked != 5 || got.Last != last.ID || got.Changes[4].ID != last.ID || got.Changes[0].Room != all[len(all)-5].Room {
		t.Errorf("since %s: %+v", from.ID, got)
	}
	if got := ask(from.ID, 2); !got.More || len(got.Changes) != 2 || got.Last != got.Changes[1].ID {
		t.Errorf("a page of 2: %+v", got)
	}
	for _, id := range []string{"", "x", "5", "5-", "-5-1", "5-1 ", "+", "5-01", "+5-1", "18446744073709551615-18446744073709551615", "18446744073709551616-0",
		"0-18446744073709551616", "-1--1", "9999999999999999-0", last.ID} {
		if got := ask(id, 5); len(got.Changes) != 0 || got.More || got.Last != last.ID {
			t.Errorf("since %q: %+v", id, got)
		}
	}
	if id, at, err := s.LastChange(t.Context()); id != last.ID || time.Since(time.UnixMilli(at)).Abs() > time.Hour || err != nil {
		t.Errorf("the last change is %s at %d, %v", id, at, err)
	}
}

// TestFollowEndsAtOnce checks that a waiting read does not delay the end.
func TestFollowEndsAtOnce(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	_, end := follow(t, s)
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s2 := open(t, r.Addr, false)
	_, _ = follow(t, s2)
	r.Kill()
	if err := s2.Follow(t.Context(), "0-0", func([]reconcile.FeedEntry) {}); err == nil {
		t.Error("it goes on without a Redis")
	}
	r.Restart(true)
}

func client(addrs ...string) redis.UniversalClient {
	o := &redis.UniversalOptions{Addrs: addrs, IsClusterMode: len(addrs) > 1}
	redisstore.Harden(o)
	return redis.NewUniversalClient(o)
}

// TestTheFeedWriterNeverDelaysACommit checks that commits succeed although Redis refuses our lists or others overwrote them.
func TestTheFeedWriterNeverDelaysACommit(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	c := r.Client()
	rec := claimed(t, s, "a")
	for _, key := range []string{"rooms:drift", "rooms:timeline:a"} {
		if err := c.Set(t.Context(), key, "others'", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	w := step("a", rec.Version)
	w.Story = []reconcile.Change{{Type: reconcile.RoomStarted, SID: "RM_1"}}
	committed(t, s, w)
	if got, err := s.Timeline(t.Context(), "a", 10); err != nil || len(got) != 1 {
		t.Errorf("a timeline that others overwrote: %+v, %v", got, err)
	}
	if got, err := s.Drift(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("a list of drift that others overwrote: %+v, %v", got, err)
	}
	eventually.True(t, "the list of drift is ours again", func() bool {
		s.Drifted("a", reconcile.BySync, 1, []reconcile.Drift{{Reason: reconcile.Ghost}})
		got, err := s.Drift(t.Context())
		return err == nil && len(got) > 0
	})
	if c.LPush(t.Context(), "rooms:timeline:a", "junk", `[1]`, `{"a":1}`).Err() != nil || c.LPush(t.Context(), "rooms:drift", "junk").Err() != nil {
		t.Fatal("cannot write junk")
	}
	if got, err := s.Timeline(t.Context(), "a", 10); err != nil || len(got) != 1 {
		t.Errorf("a timeline with junk: %+v, %v", got, err)
	}
	if got, err := s.Drift(t.Context()); err != nil || len(got) == 0 || got[0].Reason != reconcile.Ghost {
		t.Errorf("a list of drift with junk: %+v, %v", got, err)
	}
	r.Kill()
	for range 20_000 { // more than the queue holds
		s.Drifted("a", reconcile.BySync, 1, []reconcile.Drift{{Reason: reconcile.Ghost}})
	}
	r.Restart(true)
	version := rec.Version + 1
	eventually.True(t, "commits go on", func() bool {
		_, err := s.Commit(t.Context(), step("a", version))
		return err == nil
	})
}

// TestListsAreBounded checks the size of what Redis keeps, not only of what is shown.
func TestListsAreBounded(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	version := claimed(t, s, "a").Version
	for range 3 * reconcile.TimelineMax {
		committed(t, s, step("a", version))
		version++
	}
	if n := r.Client().LLen(t.Context(), "rooms:timeline:a").Val(); n < reconcile.TimelineMax || n > reconcile.TimelineMax*5/4 {
		t.Errorf("the timeline has %d entries", n)
	}
	for i := range 2 * reconcile.DriftMax {
		s.Drifted("a", reconcile.BySync, int64(i), []reconcile.Drift{{Reason: reconcile.Ghost}})
	}
	eventually.True(t, "the last repair is listed", func() bool {
		got, err := s.Drift(t.Context())
		return err == nil && len(got) > 0 && got[0].Time == 2*reconcile.DriftMax-1
	})
	if n := r.Client().LLen(t.Context(), "rooms:drift").Val(); n != reconcile.DriftMax {
		t.Errorf("the list of drift has %d entries", n)
	}
}
