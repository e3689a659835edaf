package redisstore

import (
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

// State is the value of a room's states key, as it stands: whatever others wrote there, and nil for a value that is no
// string. False when there is no such key.
func (s *Store) State(ctx context.Context, room string) (json.RawMessage, bool, error) {
	value, err := s.client.Get(ctx, s.keys.states(room)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, false, nil
	case wrongType(err):
		return nil, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("redis: state of room %q: %w", room, denied(err))
	}
	return value, true, nil
}

// States reads both public keys of rooms, each room's at one moment. A room that has none, or none that is JSON, is missing
// from the map. With a reconcile.ErrIncomplete the rooms of some shards of a Redis Cluster are missing as well.
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
	if got.err != nil && (!s.cluster || got.shards == 0) {
		return nil, nil, got.err
	}
	if got.err != nil {
		got.err = fmt.Errorf("%w: %w", reconcile.ErrIncomplete, got.err)
	}
	return got.participants, got.states, got.err
}

// values gathers what shards answer.
type values struct {
	mu                   sync.Mutex
	participants, states map[string]json.RawMessage
	shards               int // that answered
	err                  error
}

// answered notes how a shard's part ended.
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

// add keeps the values of a room's two keys.
func (v *values) add(room string, pair []any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, to := range []map[string]json.RawMessage{v.participants, v.states} {
		if value, ok := pair[i].(string); ok && json.Valid([]byte(value)) {
			to[room] = json.RawMessage(value)
		}
	}
}

// readShard reads rooms of one shard, some at a time.
func (s *Store) readShard(ctx context.Context, rooms []string, got *values) error {
	for page := range slices.Chunk(rooms, readPage) {
		err := s.aside(ctx, s.keys.states(page[0]), func(ctx context.Context) error {
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

// Matching counts the application's matching:active and matching:queue: the cardinality of a set, list, sorted set, hash or
// stream, the length of a string's JSON array, 0 for anything else. It only reads. What is on a shard of a Redis Cluster that does not
// answer counts 0, with a reconcile.ErrIncomplete.
func (s *Store) Matching(ctx context.Context) (active, queue int64, err error) {
	active, err = s.count(ctx, "matching:active")
	queue, second := s.count(ctx, "matching:queue")
	if err = cmp.Or(err, second); err != nil && s.cluster {
		err = fmt.Errorf("%w: %w", reconcile.ErrIncomplete, err)
	}
	return active, queue, err
}

func (s *Store) count(ctx context.Context, key string) (n int64, err error) {
	err = s.aside(ctx, key, func(ctx context.Context) error {
		kind, err := s.client.Type(ctx, key).Result()
		if err == nil {
			n, err = s.cardinality(ctx, key, kind)
		}
		return err
	})
	// Gone, or of another type, between the two looks: it is none.
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
		value, err := s.client.Get(ctx, key).Bytes()
		var elements []json.RawMessage
		if err != nil || json.Unmarshal(value, &elements) != nil {
			return 0, err
		}
		return int64(len(elements)), nil
	}
	return 0, nil
}
