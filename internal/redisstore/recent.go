package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// recentMax is about how many entries rooms:recent keeps, and recentData how large the data of one may be: more is
	// left out, since nobody folds this stream.
	recentMax  = 1000
	recentData = 16 << 10
	// followPage is how many entries one read brings, followBlock how long it waits for one.
	followPage  = 500
	followBlock = 2 * time.Second
)

// Change is an entry of the change feed, as people see it go by.
type Change struct {
	ID            string // of the stream's entry; IDs of one stream rise
	Room          string
	Type          reconcile.ChangeType
	Identity, SID string
	Cause         reconcile.Cause
	Version       uint64
	Time          int64 // Unix ms
	Data          json.RawMessage
	// Of a participant_left only: LiveKit's DisconnectReason, and the times of the join and the leave in Unix ms.
	Reason           string
	JoinedAt, LeftAt int64
}

// oneStream tells whether the feed has the changes of all rooms in one stream.
func (s *Store) oneStream() bool { return s.feedMax > 0 && !s.keys.tags }

// followed is the stream of all rooms' changes: the feed's, or rooms:recent.
func (s *Store) followed() string {
	if s.oneStream() {
		return feedKey
	}
	return recentKey
}

// passed is an entry of rooms:recent.
type passed struct{ values []any }

func (p passed) write(ctx context.Context, pipe redis.Pipeliner) {
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: recentKey, MaxLen: recentMax, Approx: true, Values: p.values})
}

// recall notes what a commit changed in rooms:recent, where the feed is no stream to follow. It is the differences
// themselves, also where the feed begins anew with a snapshot.
func (s *Store) recall(c *reconcile.Commit) {
	if s.oneStream() || c.Version == c.Expect {
		return
	}
	for _, e := range feedEntries(c, c.Story, nil) {
		data := e.data
		if len(data) > recentData {
			data = []byte("null")
		}
		values := []any{"room", c.Room, "version", unsigned(c.Version), "type", string(e.kind), "identity", e.identity,
			"sid", e.sid, "cause", string(c.Cause), "time", signed(c.Time), "data", data}
		if e.reason != "" {
			values = append(values, "reason", e.reason, "joinedAt", signed(e.joinedAt), "leftAt", signed(e.leftAt))
		}
		s.trail.leave(passed{values})
	}
}

// Follow gives take the changes of all rooms after the one of that id, in order and some at a time, until ctx ends or Redis
// fails. It has a connection of its own. Without hash tags and with the feed on, that is every change; otherwise it is rooms:recent,
// which is written beside the commits: what Redis did not take then is missing.
func (s *Store) Follow(ctx context.Context, after string, take func([]Change)) error {
	client := s.another()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() }) // ends a read that waits
	defer func() {
		if stop() {
			_ = client.Close()
		}
	}()
	for {
		read, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.followed(), after}, Count: followPage, Block: followBlock}).Result()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return fmt.Errorf("redis: follow the changes: %w", denied(err))
		}
		messages := read[0].Messages
		after = messages[len(messages)-1].ID
		take(changesOf(messages))
	}
}

// another is a client like the store's, with one connection.
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

// LastChange is the id of the last change, 0-0 where there is none.
func (s *Store) LastChange(ctx context.Context) (string, error) {
	var found []redis.XMessage
	err := s.aside(ctx, s.followed(), func(ctx context.Context) (err error) {
		found, err = s.client.XRevRangeN(ctx, s.followed(), "+", "-", 1).Result()
		return err
	})
	if err != nil && !wrongType(err) {
		return "", fmt.Errorf("redis: last change: %w", denied(err))
	}
	if len(found) == 0 {
		return "0-0", nil
	}
	return found[0].ID, nil
}

// Since gives the changes after the one of that id, oldest first, at most limit; more tells that there are others after
// them. An id that is none gives none.
func (s *Store) Since(ctx context.Context, id string, limit int) (changes []Change, more bool, err error) {
	if !streamID(id) {
		return nil, false, nil
	}
	var found []redis.XMessage
	err = s.aside(ctx, s.followed(), func(ctx context.Context) (err error) {
		found, err = s.client.XRangeN(ctx, s.followed(), "("+id, "+", int64(limit)+1).Result()
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("redis: changes since %s: %w", id, denied(err))
	}
	if more = len(found) > limit; more {
		found = found[:limit]
	}
	return changesOf(found), more, nil
}

// streamID tells whether id is one of a stream: two numbers.
func streamID(id string) bool {
	var ms, n uint64
	parsed, err := fmt.Sscanf(id, "%d-%d", &ms, &n)
	return err == nil && parsed == 2 && fmt.Sprintf("%d-%d", ms, n) == id
}

func changesOf(messages []redis.XMessage) []Change {
	changes := make([]Change, 0, len(messages))
	for _, m := range messages {
		field := func(name string) string { v, _ := m.Values[name].(string); return v }
		ms := func(name string) int64 { n, _ := strconv.ParseInt(field(name), 10, 64); return n }
		version, _ := strconv.ParseUint(field("version"), 10, 64)
		data := json.RawMessage(field("data"))
		if !json.Valid(data) { // others wrote it
			data = json.RawMessage("null")
		}
		changes = append(changes, Change{ID: m.ID, Room: field("room"), Type: reconcile.ChangeType(field("type")), Identity: field("identity"),
			SID: field("sid"), Cause: reconcile.Cause(field("cause")), Version: version, Time: ms("time"), Data: data,
			Reason: field("reason"), JoinedAt: ms("joinedAt"), LeftAt: ms("leftAt")})
	}
	return changes
}
