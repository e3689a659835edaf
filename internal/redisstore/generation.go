package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Generation is the cluster's generation as Redis keeps it; 0 when it keeps none, or nothing that is a number.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	return s.number(ctx, generationKey)
}

// Epoch is the highest epoch of a generation as Redis keeps it; 0 when it keeps none, or nothing that is a number.
func (s *Store) Epoch(ctx context.Context, generation uint64) (uint64, error) {
	return s.number(ctx, epochKey(generation))
}

func (s *Store) number(ctx context.Context, key string) (uint64, error) {
	value := ""
	err := s.aside(ctx, key, func(ctx context.Context) (err error) {
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

// RaiseGeneration stores g unless a higher one stands. It never lowers it.
func (s *Store) RaiseGeneration(ctx context.Context, g uint64) error {
	err := s.aside(ctx, generationKey, func(ctx context.Context) error {
		return s.once(ctx, s.scripts.raise, []string{generationKey}, unsigned(g)).Err()
	})
	if err != nil {
		return fmt.Errorf("redis: raise the generation to %d: %w", g, denied(err))
	}
	return nil
}

// RaiseEpoch stores an epoch of a generation unless a higher one stands.
func (s *Store) RaiseEpoch(ctx context.Context, generation, epoch uint64) error {
	if err := s.once(ctx, s.scripts.raise, []string{epochKey(generation)}, unsigned(epoch)).Err(); err != nil {
		return fmt.Errorf("redis: raise the epoch to %d: %w", epoch, err)
	}
	return nil
}

// Claimed is the generation and epoch of the claim that stands on a room; zero for none.
func (s *Store) Claimed(ctx context.Context, room string) (generation, epoch uint64, err error) {
	values, err := s.client.HMGet(ctx, s.keys.fence(room), "gen", "epoch").Result()
	if wrongType(err) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("redis: the claim on room %q: %w", room, err)
	}
	generation, _ = strconv.ParseUint(text(values[0]), 10, 64)
	epoch, _ = strconv.ParseUint(text(values[1]), 10, 64)
	return generation, epoch, nil
}

func epochKey(generation uint64) string { return epochPrefix + unsigned(generation) }
