package redisstore

import (
	"context"
	"fmt"
)

// Count is the number of rooms in the index.
func (s *Store) Count(ctx context.Context) (int64, error) {
	n, err := s.client.ZCard(ctx, indexKey).Result()
	if err != nil && !wrongType(err) {
		return 0, fmt.Errorf("redis: count the rooms: %w", denied(err))
	}
	return n, nil
}
