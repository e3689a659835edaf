package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/rollcallhq/rollcall/reconcile"
)

// timelineArgs adds what the commit tells the room's timeline, oldest first.
func (s *Store) timelineArgs(a []any, c *reconcile.Commit) []any {
	a = append(a, strconv.Itoa(reconcile.TimelineMax))
	if !s.stories {
		return a
	}
	entries := c.Timeline(s.node)
	for i := range entries {
		a = append(a, packed(&entries[len(entries)-1-i]))
	}
	return a
}

// fields are an entry's, in the order in which they are stored: an array and no object, since a room keeps a hundred.
func fields(e *reconcile.TimelineEntry) []any {
	return []any{&e.Time, &e.Type, &e.Identity, &e.SID, &e.Cause, &e.Reason, &e.Event, &e.Gen, &e.Epoch, &e.Version, &e.Owner}
}

func packed(e *reconcile.TimelineEntry) []byte {
	b, _ := json.Marshal(fields(e)) // strings and integers cannot fail to encode
	return b
}

// Timeline gives a room's last changes, at most limit, newest first. It is empty for a room that never was, or of long ago.
func (s *Store) Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error) {
	values, err := s.client.LRange(ctx, s.keys.timeline(room), 0, int64(limit)-1).Result()
	if err != nil && !wrongType(err) {
		return nil, fmt.Errorf("redis: timeline of room %q: %w", room, err)
	}
	entries := []reconcile.TimelineEntry{}
	for _, value := range values {
		var e reconcile.TimelineEntry
		list := fields(&e)
		if json.Unmarshal([]byte(value), &list) == nil && e.Type != "" { // else others wrote it
			entries = append(entries, e)
		}
	}
	return entries, nil
}
