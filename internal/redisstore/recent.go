package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// recentMax is about how many entries rooms:recent keeps. recentData is the largest data of an entry: larger data is left out, since nobody
	// folds this stream.
	recentMax  = 1000
	recentData = 16 << 10
	// followPage is how many entries, and followBytes about how many bytes, one read returns; followBlock is how long it waits for an entry.
	followPage  = 500
	followBytes = 1 << 20
	followBlock = 2 * time.Second
	// lookBytes is about how much of the stream one script examines: Redis does nothing else while it runs.
	lookBytes = 4 << 20
)

// oneStream reports whether the feed has the changes of all rooms in one stream.
func (s *Store) oneStream() bool { return s.feedMax > 0 && !s.keys.tags }

// followed returns the key of the stream with all rooms' changes: the feed's, or rooms:recent.
func (s *Store) followed() string {
	if s.oneStream() {
		return s.keys.allFeed()
	}
	return s.keys.recent()
}

// recentEntry is an entry of rooms:recent.
type recentEntry struct {
	key    string
	values []any
}

func (p recentEntry) write(ctx context.Context, pipe redis.Pipeliner) {
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.key, MaxLen: recentMax, Approx: true, Values: p.values})
}

// appendRecent appends the changes of a commit to rooms:recent if the feed is not one stream. It appends the differences themselves, even when
// the feed starts over with a snapshot.
func (s *Store) appendRecent(c *reconcile.Commit) {
	if s.oneStream() || c.Version == c.Expect {
		return
	}
	for _, e := range feedEntries(nil, c, c.Story, nil) {
		data := e.data
		if len(data) > recentData {
			data = null
		}
		values := []any{"room", c.Room, "version", unsigned(c.Version), "type", string(e.kind), "identity", e.identity,
			"sid", e.sid, "cause", string(c.Cause), "time", signed(c.Time), "data", data}
		if e.reason != "" {
			values = append(values, "reason", e.reason, "joinedAt", signed(e.joinedAt), "leftAt", signed(e.leftAt))
		}
		s.async.enqueue(recentEntry{s.keys.recent(), values})
	}
}

// Follow passes the changes of all rooms after the one with that id to take, in order and in batches, until ctx ends or Redis fails. It uses its
// own connection and holds about followBytes of changes in memory at a time. Without hash tags and with the feed on, it passes every change;
// otherwise it reads rooms:recent, which is written outside the commits and lacks the changes that Redis did not take then. Data above
// reconcile.MaxWebhookBytes is null.
func (s *Store) Follow(ctx context.Context, after string, take func([]reconcile.FeedEntry)) error {
	client := s.another()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() }) // unblocks a read that waits
	defer func() {
		if stop() {
			_ = client.Close()
		}
	}()
	for {
		err := s.catchUp(ctx, client, &after, take)
		if err == nil {
			err = s.awaitChange(ctx, client, &after, take)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("redis: follow the changes: %w", denied(err))
		}
	}
}

// catchUp passes the changes that are already stored after an id to take, page by page.
func (s *Store) catchUp(ctx context.Context, client redis.UniversalClient, after *string, take func([]reconcile.FeedEntry)) error {
	for space := int64(followBytes); ; {
		part, err := s.changes(ctx, client, reconcile.FeedQuery{After: *after, Entries: followPage, Bytes: space})
		if err != nil {
			return err
		}
		if *after = part.Last; len(part.Changes) > 0 {
			take(part.Changes)
		}
		if !part.More {
			return nil
		}
		space = max(followBytes, part.Needs)
	}
}

// awaitChange waits for the next change, and takes that one alone: the size of those after it is not known yet.
func (s *Store) awaitChange(ctx context.Context, client redis.UniversalClient, after *string, take func([]reconcile.FeedEntry)) error {
	read, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.followed(), *after}, Count: 1, Block: followBlock}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range read[0].Messages {
		*after = m.ID
		take([]reconcile.FeedEntry{changeOf(m)})
	}
	return nil
}

// another returns a client like the store's, with one connection.
func (s *Store) another() redis.UniversalClient {
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		o := *c.Options()
		o.PoolSize = 1
		return redis.NewClusterClient(&o)
	case *redis.Client:
		o := *c.Options()
		o.PoolSize = 1
		return redis.NewClient(&o)
	}
	return s.client
}

// newestID is an id that no entry comes after.
const newestID = "18446744073709551615-18446744073709551615"

// LastChange returns the id of the last change, 0-0 if there is none, and Redis' time at that moment in Unix ms.
func (s *Store) LastChange(ctx context.Context) (id string, at int64, err error) {
	part, err := s.Since(ctx, reconcile.FeedQuery{After: newestID})
	return part.Last, part.Time, err
}

// Since returns a part of the changes, which may be empty although others follow. After an id that is not valid, or is beyond the last change,
// there are none, and Last is the last change. Data above reconcile.MaxWebhookBytes is null.
func (s *Store) Since(ctx context.Context, q reconcile.FeedQuery) (part reconcile.FeedPart, err error) {
	err = s.onShard(ctx, s.followed(), func(ctx context.Context) (err error) {
		part, err = s.changes(ctx, s.client, q)
		return err
	})
	if err != nil {
		return reconcile.FeedPart{}, fmt.Errorf("redis: changes since %s: %w", q.After, denied(err))
	}
	return part, nil
}

func (s *Store) changes(ctx context.Context, client redis.UniversalClient, q reconcile.FeedQuery) (reconcile.FeedPart, error) {
	if !streamID(q.After) {
		q.After = newestID
	}
	one := 0
	if q.OneRoom {
		one = 1
	}
	reply, err := runOn(ctx, client, s.scripts.changes, []string{s.followed()}, q.After, one, q.Room, q.Entries, q.Bytes, lookBytes, reconcile.MaxWebhookBytes).Slice()
	if err != nil {
		return reconcile.FeedPart{}, err
	}
	return partOf(reply)
}

// partOf parses the reply of the changes script.
func partOf(reply []any) (p reconcile.FeedPart, err error) {
	var more, looked int64
	head := []*int64{nil, nil, &more, &looked, &p.Bytes, &p.Needs}
	if len(reply) < len(head) || len(reply)%2 != 0 {
		return p, errors.New("a reply that is cut off")
	}
	now, _ := reply[0].(string)
	p.Last, _ = reply[1].(string)
	if p.Time, err = strconv.ParseInt(now, 10, 64); err != nil || p.Last == "" {
		return p, fmt.Errorf("an unknown reply %v, %v", reply[0], reply[1])
	}
	for i, to := range head {
		if to != nil {
			*to, _ = reply[i].(int64)
		}
	}
	p.More, p.Looked = more == 1, int(looked)
	for i := len(head); i < len(reply); i += 2 {
		id, _ := reply[i].(string)
		fields, _ := reply[i+1].([]any)
		m := redis.XMessage{ID: id, Values: map[string]any{}}
		for k := 0; k+1 < len(fields); k += 2 {
			if name, ok := fields[k].(string); ok {
				m.Values[name] = fields[k+1]
			}
		}
		p.Changes = append(p.Changes, changeOf(m))
	}
	return p, nil
}

// streamID reports whether id is a stream id: two 64-bit numbers.
func streamID(id string) bool {
	ms, n, ok := strings.Cut(id, "-")
	return ok && isUint(ms) && isUint(n)
}

// isUint reports whether s is a 64-bit number as Redis writes it.
func isUint(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == s
}

func changeOf(m redis.XMessage) reconcile.FeedEntry {
	field := func(name string) string { v, _ := m.Values[name].(string); return v }
	ms := func(name string) int64 { n, _ := strconv.ParseInt(field(name), 10, 64); return n }
	version, _ := strconv.ParseUint(field("version"), 10, 64)
	data := json.RawMessage(field("data"))
	if len(data) > reconcile.MaxWebhookBytes || !json.Valid(data) { // others may have written invalid data
		data = json.RawMessage("null")
	}
	return reconcile.FeedEntry{ID: m.ID, Room: field("room"), Type: reconcile.ChangeType(field("type")), Identity: field("identity"),
		SID: field("sid"), Cause: reconcile.Cause(field("cause")), Version: version, Time: ms("time"), Data: data,
		Reason: field("reason"), JoinedAt: ms("joinedAt"), LeftAt: ms("leftAt")}
}
