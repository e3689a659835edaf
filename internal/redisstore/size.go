package redisstore

import (
	"cmp"
	"context"
	"fmt"
)

// Count returns the number of rooms in the index. On a Redis Cluster it may be a second old, and with a reconcile.ErrIncomplete it counts only
// the rooms of the shards that answer.
func (s *Store) Count(ctx context.Context) (int64, error) {
	if s.cluster {
		l, err := s.lists.get(ctx, true)
		return int64(len(l.names)), cmp.Or(err, l.err)
	}
	n, err := s.client.ZCard(ctx, s.keys.allIndex()).Result()
	if err != nil && !wrongType(err) {
		return 0, fmt.Errorf("redis: count the rooms: %w", denied(err))
	}
	return n, nil
}
