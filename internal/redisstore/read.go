package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
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
// from the map.
func (s *Store) States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error) {
	participants, states = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for page := range slices.Chunk(rooms, readPage) {
		pipe := s.client.Pipeline()
		pairs := make([]*redis.SliceCmd, len(page))
		for i, room := range page {
			pairs[i] = pipe.MGet(ctx, s.keys.public(room)...) // a key of another type reads as none
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, nil, fmt.Errorf("redis: states of rooms: %w", denied(err))
		}
		for i, room := range page {
			for j, to := range []map[string]json.RawMessage{participants, states} {
				if value, ok := pairs[i].Val()[j].(string); ok && json.Valid([]byte(value)) {
					to[room] = json.RawMessage(value)
				}
			}
		}
	}
	return participants, states, nil
}

// Matching counts the application's matching:active and matching:queue: the cardinality of a set, list, sorted set, hash or
// stream, the length of a string's JSON array, 0 for anything else. It only reads.
func (s *Store) Matching(ctx context.Context) (active, queue int64, err error) {
	if active, err = s.count(ctx, "matching:active"); err != nil {
		return 0, 0, err
	}
	if queue, err = s.count(ctx, "matching:queue"); err != nil {
		return 0, 0, err
	}
	return active, queue, nil
}

func (s *Store) count(ctx context.Context, key string) (n int64, err error) {
	kind, err := s.client.Type(ctx, key).Result()
	if err == nil {
		n, err = s.cardinality(ctx, key, kind)
	}
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
