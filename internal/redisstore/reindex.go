package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// scanCount is about how many keys Redis examines for one batch of a scan; that takes a fraction of a millisecond.
const scanCount = 100

// Reindex scans all keys once, on Redis Cluster those of every master, and adds the rooms that have public keys to the index of their slot. It
// is slow on purpose, with a pause of pace between batches: run it in the background, now and then. It finds rooms that the index lost or never
// had; superfluous entries are left to cleanup.
func (s *Store) Reindex(ctx context.Context, pace time.Duration) error {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.reindexNode(ctx, s.client, pace)
	}
	return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return s.reindexNode(ctx, node, pace)
	})
}

func (s *Store) reindexNode(ctx context.Context, node redis.Cmdable, pace time.Duration) error {
	for cursor := uint64(0); ; {
		found, next, err := node.Scan(ctx, cursor, s.keys.every(), scanCount).Result()
		if err != nil {
			return fmt.Errorf("redis: scan for rooms: %w", denied(err))
		}
		seen := map[string]bool{}
		var rooms []string
		for _, key := range found {
			if room, ok := s.keys.room(key); ok && !seen[room] {
				seen[room] = true
				rooms = append(rooms, room)
			}
		}
		if len(rooms) > 0 {
			if err := s.list(ctx, rooms); err != nil {
				return fmt.Errorf("redis: scan for rooms: %w", denied(err))
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := wait.For(ctx, pace); err != nil {
			return fmt.Errorf("redis: scan for rooms: %w", err)
		}
	}
}
