package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrClusterNode says that what answers is one node of a Redis Cluster, and the client was not made for one: keys of other nodes would fail.
var ErrClusterNode = errors.New("this is a node of a Redis Cluster, and the URL is for a single Redis")

// checkMode looks, until it once was right, whether a client for a single Redis talks to a node of a Cluster. A server that does not
// tell counts as right.
func (s *Store) checkMode(ctx context.Context) error {
	if s.cluster || s.modeChecked.Load() {
		return nil
	}
	mode, err := s.mode(ctx)
	if err != nil {
		return err
	}
	if mode == "cluster" {
		return ErrClusterNode
	}
	s.modeChecked.Store(true)
	return nil
}

// mode is what HELLO says: standalone, sentinel or cluster; "" where Redis is too old for it or refuses it.
func (s *Store) mode(ctx context.Context) (string, error) {
	got, err := s.client.Do(ctx, "HELLO").Result()
	var refused redis.Error
	if err != nil {
		if errors.As(err, &refused) {
			return "", nil
		}
		return "", fmt.Errorf("redis: hello: %w", err)
	}
	switch fields := got.(type) {
	case map[any]any: // RESP3
		return fmt.Sprint(fields["mode"]), nil
	case []any: // RESP2: names and values in turn
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "mode" {
				return fmt.Sprint(fields[i+1]), nil
			}
		}
	}
	return "", nil
}

// policyInfo is maxmemory-policy as INFO memory has it, or "".
func (s *Store) policyInfo(ctx context.Context) (string, error) {
	info, err := s.client.Info(ctx, "memory").Result()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return "", fmt.Errorf("redis: maxmemory-policy: %w", err)
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(line, "maxmemory_policy:"); ok {
			return strings.TrimSpace(policy), nil
		}
	}
	return "", nil
}
