package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Generation returns the cluster's generation from Redis; 0 when none is stored, or the value is not a number.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	return s.number(ctx, s.keys.generation())
}

// Epoch returns the highest epoch of a generation from Redis; 0 when none is stored, or the value is not a number.
func (s *Store) Epoch(ctx context.Context, generation uint64) (uint64, error) {
	return s.number(ctx, s.keys.epoch(generation))
}

func (s *Store) number(ctx context.Context, key string) (uint64, error) {
	value := ""
	err := s.onShard(ctx, key, func(ctx context.Context) (err error) {
		value, err = s.client.Get(ctx, key).Result()
		return err
	})
	if errors.Is(err, redis.Nil) || wrongType(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("redis: %s: %w", key, denied(err))
	}
	g, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		s.log.Warn("redis: what is stored is not a number", "key", key, "value", value)
		return 0, nil
	}
	return g, nil
}

// RaiseGeneration stores g unless a higher generation is stored. It never lowers it.
func (s *Store) RaiseGeneration(ctx context.Context, g uint64) error {
	key := s.keys.generation()
	err := s.onShard(ctx, key, func(ctx context.Context) error {
		return s.once(ctx, s.scripts.raise, []string{key}, unsigned(g)).Err()
	})
	if err != nil {
		return fmt.Errorf("redis: raise the generation to %d: %w", g, denied(err))
	}
	return nil
}

// RaiseEpoch stores an epoch of a generation unless a higher one is stored.
func (s *Store) RaiseEpoch(ctx context.Context, generation, epoch uint64) error {
	if err := s.once(ctx, s.scripts.raise, []string{s.keys.epoch(generation)}, unsigned(epoch)).Err(); err != nil {
		return fmt.Errorf("redis: raise the epoch to %d: %w", epoch, err)
	}
	return nil
}

// Claimed returns the generation and the epoch of a room's current claim; zero if there is none.
func (s *Store) Claimed(ctx context.Context, room string) (reconcile.Claim, error) {
	values, err := s.client.HMGet(ctx, s.keys.fence(room), "gen", "epoch").Result()
	if wrongType(err) {
		return reconcile.Claim{}, nil
	}
	if err != nil {
		return reconcile.Claim{}, fmt.Errorf("redis: the claim on room %q: %w", room, err)
	}
	var c reconcile.Claim
	c.Generation, _ = strconv.ParseUint(text(values[0]), 10, 64)
	c.Epoch, _ = strconv.ParseUint(text(values[1]), 10, 64)
	return c, nil
}
