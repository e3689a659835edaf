package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// fill writes n changes to the feed, each of size bytes and of one of the rooms in turn.
func fill(t *testing.T, c *redis.Client, n, size int, rooms ...string) {
	t.Helper()
	data := `"` + strings.Repeat("x", size) + `"`
	for i := range n {
		err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: "rooms:events", ID: fmt.Sprintf("%d-0", i+1),
			Values: []any{"room", rooms[i%len(rooms)], "version", i + 1, "type", "participant_joined", "data", data}}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSinceIsBounded checks that a part has few bytes, even when changes are large, and no change of another room.
func TestSinceIsBounded(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	fill(t, r.Client(), 60, 300_000, "a", "b", "c")
	const space = 1 << 20
	q := reconcile.FeedQuery{After: "0-0", OneRoom: true, Room: "b", Entries: 1000, Bytes: space}
	var ids []string
	for parts := 0; ; parts++ {
		part, err := s.Since(t.Context(), q)
		if err != nil || parts > 60 {
			t.Fatal(parts, err)
		}
		bytes := 0
		for _, c := range part.Changes {
			if c.Room != "b" {
				t.Fatalf("a change of room %q", c.Room)
			}
			ids, bytes = append(ids, c.ID), bytes+len(c.Data)
		}
		if bytes > space || part.Bytes > 10<<20 {
			t.Errorf("a part gives %d bytes and looks at %d", bytes, part.Bytes)
		}
		if q.After = part.Last; !part.More {
			break
		}
	}
	if len(ids) != 20 || ids[0] != "2-0" || ids[19] != "59-0" {
		t.Errorf("the room's changes are %q", ids)
	}
	if part, err := s.Since(t.Context(), reconcile.FeedQuery{After: "0-0", OneRoom: true, Room: "none", Entries: 1000, Bytes: space}); err != nil ||
		len(part.Changes) != 0 || !part.More || part.Looked == 0 {
		t.Errorf("of a room without changes: %+v, %v", part, err)
	}
}

// TestAChangeThatDoesNotFit checks that a change's size is reported before it is read, and that data above the limit for everybody is null.
func TestAChangeThatDoesNotFit(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	fill(t, r.Client(), 1, 2_000_000, "a")
	q := reconcile.FeedQuery{After: "0-0", Entries: 10, Bytes: 1 << 20}
	part, err := s.Since(t.Context(), q)
	if err != nil || len(part.Changes) != 0 || !part.More || part.Needs < 2_000_000 || part.Last != "0-0" {
		t.Fatalf("%d changes, %+v, %v", len(part.Changes), part.Needs, err)
	}
	q.Bytes = part.Needs
	if part, err = s.Since(t.Context(), q); err != nil || len(part.Changes) != 1 || len(part.Changes[0].Data) != 2_000_002 || part.More {
		t.Fatalf("%d changes, %v", len(part.Changes), err)
	}
	r.Flush()
	fill(t, r.Client(), 1, reconcile.MaxWebhookBytes, "a")
	if part, err = s.Since(t.Context(), q); err != nil || len(part.Changes) != 1 || string(part.Changes[0].Data) != "null" {
		t.Fatalf("%d changes, %v", len(part.Changes), err)
	}
}

// TestFollowIsBounded checks that large changes come a few at a time, and that none is missing.
func TestFollowIsBounded(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	fill(t, r.Client(), 20, 400_000, "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ids []string
	err := s.Follow(ctx, "0-0", func(changes []reconcile.FeedEntry) {
		bytes := 0
		for _, c := range changes {
			ids, bytes = append(ids, c.ID), bytes+len(c.Data)
		}
		if bytes > 1<<20 {
			t.Errorf("%d bytes come at once", bytes)
		}
		if len(ids) == 20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(ids) != 20 || !slices.IsSortedFunc(ids, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("%q, %v", ids, err)
	}
}

// TestStateIsBounded checks that no more is read than was measured.
func TestStateIsBounded(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	for key, value := range map[string]string{"rooms:states:a": `{"a":1}`, "rooms:participants:a": `[]`, "rooms:states:empty": ""} {
		if err := r.Client().Set(t.Context(), key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Client().LPush(t.Context(), "rooms:states:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	sizes, err := s.Sizes(t.Context(), []string{"a", "none", "empty", "list"})
	if err != nil || !slices.Equal(sizes, []reconcile.RoomSize{{Participants: 2, State: 7}, {}, {}, {}}) {
		t.Errorf("sizes %v, %v", sizes, err)
	}
	for room, want := range map[string]struct {
		most  int64
		value string
		there bool
	}{"a": {7, `{"a":1}`, true}, "none": {0, "", false}, "empty": {0, "", true}, "list": {0, "", true}} {
		value, there, err := s.StateUpTo(t.Context(), room, want.most)
		if err != nil || string(value) != want.value || there != want.there {
			t.Errorf("%s: %q, %v, %v", room, value, there, err)
		}
	}
	if value, _, err := s.StateUpTo(t.Context(), "a", 6); !errors.Is(err, redisstore.ErrGrown) || value != nil {
		t.Errorf("a value that has grown: %q, %v", value, err)
	}
}

// TestALongStringIsNotCounted checks that one of the application's strings that is too long to be read counts as 0.
func TestALongStringIsNotCounted(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	for length, want := range map[int]int64{redisstore.MaxMatching: redisstore.MaxMatching / 2, redisstore.MaxMatching + 2: 0} {
		array := "[1" + strings.Repeat(",1", (length-4)/2) + " ]"
		want = min(want, int64(length/2-1))
		if err := r.Client().Set(t.Context(), "matching:active", array, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if active, _, err := s.Matching(t.Context()); err != nil || active != want {
			t.Errorf("%d bytes count as %d, want %d, %v", len(array), active, want, err)
		}
	}
}
