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
	value := ""
	err := s.aside(ctx, generationKey, func(ctx context.Context) (err error) {
		value, err = s.client.Get(ctx, generationKey).Result()
		return err
	})
	if errors.Is(err, redis.Nil) || wrongType(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("redis: generation: %w", denied(err))
	}
	g, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		s.log.Warn("redis: the stored generation is not a number", "key", generationKey, "value", value)
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
