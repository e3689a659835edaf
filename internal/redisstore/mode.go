package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrClusterNode means that the server is a node of a Redis Cluster, but the client was not made for one: keys of other nodes would fail.
var ErrClusterNode = errors.New("this is a node of a Redis Cluster, and the URL is for a single Redis")

// checkMode checks that a client for a single Redis does not talk to a node of a Cluster. It stops checking after the first success. A server
// that does not report its mode passes.
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

// mode returns the mode from HELLO: standalone, sentinel or cluster; "" if Redis is too old for HELLO or refuses it.
func (s *Store) mode(ctx context.Context) (string, error) {
	got, err := s.client.Do(ctx, "HELLO").Result()
	var refused redis.Error
	if err != nil {
		if errors.As(err, &refused) {
			return "", nil
		}
		return "", fmt.Errorf("redis: hello: %w", err)
	}
	return modeOf(got), nil
}

// modeOf parses the reply to HELLO.
func modeOf(reply any) string {
	switch fields := reply.(type) {
	case map[any]any: // RESP3
		return text(fields["mode"])
	case []any: // RESP2: names and values alternate
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "mode" {
				return text(fields[i+1])
			}
		}
	}
	return ""
}

// policyInfo returns maxmemory-policy from INFO memory, or "".
func (s *Store) policyInfo(ctx context.Context) (string, error) {
	info, err := s.client.Info(ctx, "memory").Result()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return "", fmt.Errorf("redis: maxmemory-policy: %w", err)
	}
	return policyOf(info), nil
}

// policyOf parses the reply to INFO memory.
func policyOf(info string) string {
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(line, "maxmemory_policy:"); ok {
			return strings.TrimSpace(policy)
		}
	}
	return ""
}
