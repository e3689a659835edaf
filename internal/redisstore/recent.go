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
	// recentMax is about how many entries rooms:recent keeps, and recentData how large the data of one may be: more is
	// left out, since nobody folds this stream.
	recentMax  = 1000
	recentData = 16 << 10
	// followPage is how many entries, and followBytes about how many bytes, one read brings; followBlock is how long it waits for one.
	followPage  = 500
	followBytes = 1 << 20
	followBlock = 2 * time.Second
	// lookBytes is about how much of the stream one script looks at: while it runs Redis does nothing else.
	lookBytes = 4 << 20
	// MaxData is the largest data of a change that is given, in bytes; larger data is given as null.
	MaxData = 8 << 20
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
// fails. It has a connection of its own, and has about followBytes of changes in memory at a time. Without hash tags and with the
// feed on, that is every change; otherwise it is rooms:recent, which is written beside the commits: what Redis did not take then
// is missing. Data above MaxData is null.
func (s *Store) Follow(ctx context.Context, after string, take func([]Change)) error {
	client := s.another()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() }) // ends a read that waits
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

// catchUp gives take what stands after an id already, page by page.
func (s *Store) catchUp(ctx context.Context, client redis.UniversalClient, after *string, take func([]Change)) error {
	for space := int64(followBytes); ; {
		part, err := s.changes(ctx, client, Query{After: *after, Entries: followPage, Bytes: space})
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

// awaitChange waits for the next change, and takes that one alone: how large those behind it are is not known yet.
func (s *Store) awaitChange(ctx context.Context, client redis.UniversalClient, after *string, take func([]Change)) error {
	read, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.followed(), *after}, Count: 1, Block: followBlock}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range read[0].Messages {
		*after = m.ID
		take([]Change{changeOf(m)})
	}
	return nil
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

// newestID is an id that no entry is after.
const newestID = "18446744073709551615-18446744073709551615"

// LastChange is the id of the last change, 0-0 where there is none, and Redis' time then in Unix ms.
func (s *Store) LastChange(ctx context.Context) (id string, at int64, err error) {
	part, err := s.Since(ctx, Query{After: newestID})
	return part.Last, part.Time, err
}

// Query asks for a part of the changes.
type Query struct {
	After   string // the id of the change before
	OneRoom bool   // only those of Room
	Room    string
	Entries int   // how many to look at, whichever room's
	Bytes   int64 // how many to give
}

// Part is a part of the changes, oldest first.
type Part struct {
	Changes []Change
	// Last is the id as far as which the part looked: the next part comes after it. More tells that there are others.
	Last string
	More bool
	// Looked is how many changes, and Bytes how many bytes, the part looked at, whichever room's.
	Looked int
	Bytes  int64
	// Needs is the size of the next change where it alone is larger than the Query's Bytes; otherwise 0.
	Needs int64
	Time  int64 // Redis', in Unix ms
}

// Since gives a part of the changes, which may be empty though others follow. After an id that is none, or that is beyond the
// last change, there are none, and Last is the last change. Data above MaxData is null.
func (s *Store) Since(ctx context.Context, q Query) (part Part, err error) {
	err = s.aside(ctx, s.followed(), func(ctx context.Context) (err error) {
		part, err = s.changes(ctx, s.client, q)
		return err
	})
	if err != nil {
		return Part{}, fmt.Errorf("redis: changes since %s: %w", q.After, denied(err))
	}
	return part, nil
}

func (s *Store) changes(ctx context.Context, client redis.UniversalClient, q Query) (Part, error) {
	if !streamID(q.After) {
		q.After = newestID
	}
	one := 0
	if q.OneRoom {
		one = 1
	}
	reply, err := runOn(ctx, client, s.scripts.changes, []string{s.followed()}, q.After, one, q.Room, q.Entries, q.Bytes, lookBytes, MaxData).Slice()
	if err != nil {
		return Part{}, err
	}
	return partOf(reply)
}

// partOf reads the reply of the script of changes.
func partOf(reply []any) (p Part, err error) {
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

// streamID tells whether id is one of a stream: two numbers of 64 bits.
func streamID(id string) bool {
	ms, n, ok := strings.Cut(id, "-")
	return ok && isUint(ms) && isUint(n)
}

// isUint tells whether s is a number of 64 bits as Redis writes it.
func isUint(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == s
}

func changeOf(m redis.XMessage) Change {
	field := func(name string) string { v, _ := m.Values[name].(string); return v }
	ms := func(name string) int64 { n, _ := strconv.ParseInt(field(name), 10, 64); return n }
	version, _ := strconv.ParseUint(field("version"), 10, 64)
	data := json.RawMessage(field("data"))
	if len(data) > MaxData || !json.Valid(data) { // of others, where it is not valid
		data = json.RawMessage("null")
	}
	return Change{ID: m.ID, Room: field("room"), Type: reconcile.ChangeType(field("type")), Identity: field("identity"),
		SID: field("sid"), Cause: reconcile.Cause(field("cause")), Version: version, Time: ms("time"), Data: data,
		Reason: field("reason"), JoinedAt: ms("joinedAt"), LeftAt: ms("leftAt")}
}
