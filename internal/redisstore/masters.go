package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// master is a master of Redis, and a key on it that belongs to no room.
type master struct {
	slot int // the lowest that it owns
	addr string
	key  string
}

// masters returns Redis' masters that hold slots. It asks a Cluster through the master that holds the key well, unless well is "": a random
// master may hang.
func (s *Store) masters(ctx context.Context, well string) ([]master, error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return []master{{addr: s.addr(), key: s.keys.healthOf(0)}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	ranges, err := askSlots(ctx, cluster, well)
	if err != nil {
		return nil, fmt.Errorf("redis: cluster slots: %w", err)
	}
	owned := map[string][]redis.ClusterSlot{}
	for _, r := range ranges {
		if len(r.Nodes) > 0 {
			owned[masterOf(r)] = append(owned[masterOf(r)], r)
		}
	}
	var all []master
	for _, ranges := range owned {
		one := s.masterIn(ranges)
		if node, err := cluster.MasterForKey(ctx, one.key); err == nil {
			one.addr = node.Options().Addr // as this client reaches it
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, errors.New("redis: no master of the Cluster holds slots yet")
	}
	s.layout.Store(&all)
	return all, nil
}

// askSlots sends CLUSTER SLOTS, since Redis 6.2 has no CLUSTER SHARDS.
func askSlots(ctx context.Context, c *redis.ClusterClient, well string) ([]redis.ClusterSlot, error) {
	cmd := redis.NewClusterSlotsCmd(ctx, "cluster", "slots")
	if well == "" {
		_ = c.Process(ctx, cmd) // the command has the error
		return cmd.Result()
	}
	master, err := c.MasterForKey(ctx, well)
	if err != nil {
		return nil, err
	}
	_ = master.Process(ctx, cmd)
	return cmd.Result()
}

// masterOf returns a text that distinguishes the masters in one answer. Before Redis 4 they have no id, and some have no address.
func masterOf(r redis.ClusterSlot) string { return r.Nodes[0].ID + " " + r.Nodes[0].Addr }

// masterIn returns the master that owns these slots.
func (s *Store) masterIn(ranges []redis.ClusterSlot) master {
	lowest := slotCount
	for _, r := range ranges {
		lowest = min(lowest, r.Start)
	}
	return master{slot: lowest, addr: ranges[0].Nodes[0].Addr, key: s.keys.healthOf(lowest)}
}

// addr returns the address that a client for one Redis dials; "sentinel" or "cluster" for the other clients.
func (s *Store) addr() string {
	c, ok := s.client.(*redis.Client)
	switch {
	case !ok:
		return "cluster"
	case c.Options().Addr == "FailoverClient":
		return "sentinel"
	}
	return c.Options().Addr
}
