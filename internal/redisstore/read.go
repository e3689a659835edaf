package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// readPage is how many rooms one pipeline reads.
const readPage = 200

// ErrGrown means that a value has more bytes than when it was measured: measure it again.
var ErrGrown = errors.New("redis: the value has grown meanwhile")

// maxString is the longest string that Redis stores, in bytes.
const maxString = 512 << 20

// State returns the value of a room's states key as it is stored, even if others wrote it; nil for a value that is not a string. The second
// result is false when there is no such key.
func (s *Store) State(ctx context.Context, room string) (json.RawMessage, bool, error) {
	return s.StateUpTo(ctx, room, maxString)
}

// StateUpTo is like State for a value of at most so many bytes. For a larger one it returns ErrGrown.
func (s *Store) StateUpTo(ctx context.Context, room string, most int64) (json.RawMessage, bool, error) {
	key := s.keys.states(room)
	value, err := s.client.GetRange(ctx, key, 0, most).Bytes()
	switch {
	case wrongType(err):
		return nil, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("redis: state of room %q: %w", room, denied(err))
	case int64(len(value)) > most:
		return nil, true, ErrGrown
	case len(value) > 0:
		return value, true, nil
	}
	n, err := s.client.Exists(ctx, key).Result() // an absent key reads as an empty value
	if err != nil {
		return nil, false, fmt.Errorf("redis: state of room %q: %w", room, denied(err))
	}
	return nil, n > 0, nil
}

// Sizes returns the sizes of the rooms' values, in the order of rooms. With a reconcile.ErrIncomplete, rooms on shards of a Redis Cluster that
// do not answer have size 0.
func (s *Store) Sizes(ctx context.Context, rooms []string) ([]reconcile.RoomSize, error) {
	sizes := make([]reconcile.RoomSize, len(rooms))
	byShard := map[string][]int{}
	for i, room := range rooms {
		addr := s.shards.of(ctx, s.keys.states(room))
		byShard[addr] = append(byShard[addr], i)
	}
	got := values{}
	var all sync.WaitGroup
	for addr, places := range byShard {
		all.Go(func() {
			got.answered(addr, s.onShard(ctx, s.keys.states(rooms[places[0]]), func(ctx context.Context) error {
				return s.measure(ctx, rooms, places, sizes)
			}))
		})
	}
	all.Wait()
	return sizes, got.failure(s.cluster)
}

// measure fills in sizes at the indexes in places.
func (s *Store) measure(ctx context.Context, rooms []string, places []int, sizes []reconcile.RoomSize) error {
	pipe := s.client.Pipeline()
	cmds := make([][2]*redis.IntCmd, len(places))
	for i, at := range places {
		cmds[i] = [2]*redis.IntCmd{pipe.StrLen(ctx, s.keys.participants(rooms[at])), pipe.StrLen(ctx, s.keys.states(rooms[at]))}
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, at := range places {
		for _, cmd := range cmds[i] {
			if err := cmd.Err(); err != nil && !wrongType(err) {
				return err
			}
		}
		sizes[at] = reconcile.RoomSize{Participants: cmds[i][0].Val(), State: cmds[i][1].Val()}
	}
	return nil
}

// States reads both public keys of rooms; the two keys of a room are read at the same moment. A room that has none, or whose value is not JSON,
// is missing from the map. With a reconcile.ErrIncomplete the rooms of some shards of a Redis Cluster are missing as well.
func (s *Store) States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error) {
	got := values{participants: map[string]json.RawMessage{}, states: map[string]json.RawMessage{}}
	byShard := map[string][]string{}
	for _, room := range rooms {
		addr := s.shards.of(ctx, s.keys.states(room))
		byShard[addr] = append(byShard[addr], room)
	}
	var all sync.WaitGroup
	for addr, rooms := range byShard {
		all.Go(func() { got.answered(addr, s.readShard(ctx, rooms, &got)) })
	}
	all.Wait()
	return got.participants, got.states, got.failure(s.cluster)
}

// values collects the answers of shards.
type values struct {
	mu                   sync.Mutex
	participants, states map[string]json.RawMessage
	shards               int // how many answered
	err                  error
}

// answered records the result of a shard's part.
func (v *values) answered(addr string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.shards++
	case v.err == nil && addr != "":
		v.err = fmt.Errorf("redis: states of rooms on shard %s: %w", addr, denied(err))
	case v.err == nil:
		v.err = fmt.Errorf("redis: states of rooms: %w", denied(err))
	}
}

// failure returns why values are missing: a reconcile.ErrIncomplete if other shards of a Redis Cluster answered.
func (v *values) failure(cluster bool) error {
	if v.err != nil && cluster && v.shards > 0 {
		return fmt.Errorf("%w: %w", reconcile.ErrIncomplete, v.err)
	}
	return v.err
}

// add stores the values of a room's two keys.
func (v *values) add(room string, pair []any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, to := range []map[string]json.RawMessage{v.participants, v.states} {
		if value, ok := pair[i].(string); ok {
			if raw := json.RawMessage(value); json.Valid(raw) {
				to[room] = raw
			}
			pair[i] = nil // the copy above is enough
		}
	}
}

// readShard reads rooms of one shard, readPage at a time.
func (s *Store) readShard(ctx context.Context, rooms []string, got *values) error {
	for page := range slices.Chunk(rooms, readPage) {
		err := s.onShard(ctx, s.keys.states(page[0]), func(ctx context.Context) error {
			pipe := s.client.Pipeline()
			pairs := make([]*redis.SliceCmd, len(page))
			for i, room := range page {
				pairs[i] = pipe.MGet(ctx, s.keys.public(room)...) // a key of another type reads as none
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
			for i, room := range page {
				got.add(room, pairs[i].Val())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Matching returns the sizes of the application's matching:active and matching:queue: the cardinality of a set, list, sorted set, hash or
// stream, the length of a string's JSON array if the string has at most MaxMatching bytes, and 0 for anything else. It only reads. A key on a
// shard of a Redis Cluster that does not answer counts 0, with a reconcile.ErrIncomplete.
func (s *Store) Matching(ctx context.Context) (active, queue int64, err error) {
	active, err = s.count(ctx, "matching:active")
	queue, second := s.count(ctx, "matching:queue")
	if err = cmp.Or(err, second); err != nil && s.cluster {
		err = fmt.Errorf("%w: %w", reconcile.ErrIncomplete, err)
	}
	return active, queue, err
}

func (s *Store) count(ctx context.Context, key string) (n int64, err error) {
	err = s.onShard(ctx, key, func(ctx context.Context) error {
		kind, err := s.client.Type(ctx, key).Result()
		if err == nil {
			n, err = s.cardinality(ctx, key, kind)
		}
		return err
	})
	// The key was deleted, or changed its type, between the two commands: it counts 0.
	if errors.Is(err, redis.Nil) || wrongType(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("redis: count %s: %w", key, denied(err))
	}
	return n, nil
}

func (s *Store) cardinality(ctx context.Context, key, kind string) (int64, error) {
	switch kind {
	case "set":
		return s.client.SCard(ctx, key).Result()
	case "list":
		return s.client.LLen(ctx, key).Result()
	case "zset":
		return s.client.ZCard(ctx, key).Result()
	case "hash":
		return s.client.HLen(ctx, key).Result()
	case "stream":
		return s.client.XLen(ctx, key).Result()
	case "string":
		value, err := s.client.GetRange(ctx, key, 0, MaxMatching-1).Bytes()
		return elements(value), err // a longer one is cut off, so it is no array
	}
	return 0, nil
}

// MaxMatching is the longest string, in bytes, that Matching reads for its JSON array.
const MaxMatching = 4 << 20

// elements returns the length of a JSON array, 0 for anything else. It holds one element at a time: a list of short elements would take many
// times the array's size.
func elements(value []byte) (n int64) {
	if !json.Valid(value) {
		return 0
	}
	d := json.NewDecoder(bytes.NewReader(value))
	if first, err := d.Token(); err != nil || first != json.Delim('[') {
		return 0
	}
	var element json.RawMessage
	for ; d.More(); n++ {
		if d.Decode(&element) != nil {
			return 0
		}
	}
	return n
}
