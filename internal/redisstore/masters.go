package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// master is a master of Redis, and a key of no room that it holds.
type master struct {
	slot int // the lowest that it owns
	addr string
	key  string
}

// masters returns Redis' masters that hold slots. A Cluster is asked through the master that holds well, where that is not "": a random one may hang.
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

// masterOf tells the masters of one answer apart. Before Redis 4 they have no id, and some have no address.
func masterOf(r redis.ClusterSlot) string { return r.Nodes[0].ID + " " + r.Nodes[0].Addr }

// masterIn is the master of these slots.
func (s *Store) masterIn(ranges []redis.ClusterSlot) master {
	lowest := slotCount
	for _, r := range ranges {
		lowest = min(lowest, r.Start)
	}
	return master{slot: lowest, addr: ranges[0].Nodes[0].Addr, key: s.keys.healthOf(lowest)}
}

// addr is where a client for one Redis dials; for Sentinel, that it asks there.
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
