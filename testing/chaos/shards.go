package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// shards returns the nemeses of a Redis Cluster.
func shards() []Nemesis {
	return []Nemesis{
		{Name: "shard-hang", Kind: "redis", Lasts: true, Forgets: true, Cluster: true, Do: outage("pause", aShard, pause, unpause, takenOver),
			Doc: "a primary of the Redis Cluster is frozen for the hold; its replica takes over after 2 s, and it comes back as a replica"},
		{Name: "shard-failover", Kind: "redis", Lasts: true, Forgets: true, Cluster: true, Do: outage("kill -9", aShard, kill, start, takenOver),
			Doc: "kill -9 of a primary of the Redis Cluster; its replica takes over, and it comes back as a replica after the hold"},
		{Name: "reshard", Kind: "redis", Gentle: true, Cluster: true, Do: reshard,
			Doc: "2,000 slots of a primary of the Redis Cluster move to another while the traffic goes on"},
	}
}

func shardServices() []string {
	var all []string
	for i := range 6 {
		all = append(all, fmt.Sprintf("shard-%d", i+1))
	}
	return all
}

// shardAddrs returns the addresses of all servers of the Redis Cluster.
func (w *World) shardAddrs() []string {
	var all []string
	for _, s := range shardServices() {
		all = append(all, w.ip(s)+":6379")
	}
	return all
}

// makeCluster joins the servers to one cluster, and returns when they are.
func (w *World) makeCluster(ctx context.Context) error {
	create := append([]string{"redis-cli", "--cluster", "create"}, w.shardAddrs()...)
	if _, err := w.project.Exec(ctx, "shard-1", append(create, "--cluster-replicas", "1", "--cluster-yes")...); err != nil {
		return fmt.Errorf("make a Redis Cluster: %w", err)
	}
	return await(30*time.Second, ctx.Done(), func() error {
		nodes, err := w.shardNodes(ctx)
		if err == nil && len(nodes) != 3 {
			err = fmt.Errorf("%d primaries", len(nodes))
		}
		return err
	})
}

// shardNodes returns the primaries that hold slots: their ids, by service.
func (w *World) shardNodes(ctx context.Context) (map[string]string, error) {
	var errs []error
	for _, addr := range w.shardAddrs() { // the first one that answers
		c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: time.Second, ReadTimeout: time.Second, MaxRetries: -1})
		text, err := c.ClusterNodes(ctx).Result()
		_ = c.Close()
		if err == nil {
			return w.primaries(text), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// primaries parses CLUSTER NODES.
func (w *World) primaries(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.Contains(f[2], "master") || strings.Contains(f[2], "fail") {
			continue
		}
		for _, s := range shardServices() {
			if strings.HasPrefix(f[1], w.ip(s)+":") {
				all[s] = f[0]
			}
		}
	}
	return all
}

// aPrimary returns a primary of the Redis Cluster, and another one.
func (w *World) aPrimary(ctx context.Context, dice *rand.Rand) (one, other string, ids map[string]string, err error) {
	ids, err = w.shardNodes(ctx)
	if err != nil {
		return "", "", nil, err
	}
	var all []string
	for _, s := range shardServices() {
		if ids[s] != "" {
			all = append(all, s)
		}
	}
	if len(all) < 2 {
		return "", "", nil, fmt.Errorf("the Redis Cluster has the primaries %q only", all)
	}
	dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[0], all[1], ids, nil
}

// takenOver waits until three servers other than from are the primaries. Its rooms are then judged from scratch.
func takenOver(ctx context.Context, w *World, from string) error {
	err := await(40*time.Second, ctx.Done(), func() error {
		now, err := w.shardNodes(ctx)
		if err == nil && (now[from] != "" || len(now) != 3) {
			err = fmt.Errorf("%s is still a primary: %v", from, now)
		}
		return err
	})
	w.forget()
	return err
}

// forget makes the witnesses judge each room from scratch, because it may be on another server now.
func (w *World) forget() {
	for _, one := range w.witness {
		one.Forget()
	}
}

// aShard returns a primary of the Redis Cluster. From now on the fault spares the rooms of the others.
func aShard(ctx context.Context, w *World, dice *rand.Rand) (string, error) {
	s, _, ids, err := w.aPrimary(ctx, dice)
	if err != nil {
		return "", err
	}
	shard, ok := w.redis.(*redis.ClusterClient)
	if !ok {
		return "", fmt.Errorf("no Redis Cluster: %T", w.redis)
	}
	ranges, err := shard.ClusterSlots(ctx).Result()
	if err != nil {
		return "", err
	}
	w.report.spare(func(ctx context.Context, room string) (bool, error) {
		slot, err := shard.ClusterKeySlot(ctx, "{"+room+"}").Result()
		return !slices.ContainsFunc(ranges, func(r redis.ClusterSlot) bool {
			return r.Nodes[0].ID == ids[s] && r.Start <= int(slot) && int(slot) <= r.End
		}), err
	})
	return s, nil
}

func reshard(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	from, to, ids, err := w.aPrimary(ctx, dice)
	if err != nil {
		return "", nil, err
	}
	if err := w.awaitShards(ctx, from); err != nil {
		return "", nil, err
	}
	w.forget() // before the move: a room may come back to a server that it has left
	w.moves.Add(1)
	defer w.moves.Add(1)
	_, err = w.project.Exec(ctx, from, "redis-cli", "--cluster", "reshard", w.ip(from)+":6379", "--cluster-from", ids[from], "--cluster-to", ids[to],
		"--cluster-slots", "2000", "--cluster-yes")
	return fmt.Sprintf("2,000 slots from %s to %s", from, to), nil, err
}

// awaitShards waits until all servers agree on the owners of the slots.
func (w *World) awaitShards(ctx context.Context, ask string) error {
	return await(time.Minute, ctx.Done(), func() error {
		_, err := w.project.Exec(ctx, ask, "redis-cli", "--cluster", "check", w.ip(ask)+":6379")
		return err
	})
}

// eachRedis calls do for every Redis that holds keys, at the same time: the only one, or every primary of a Redis Cluster.
func (w *World) eachRedis(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	switch c := w.redis.(type) {
	case *redis.Client:
		return do(ctx, c)
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	}
	return fmt.Errorf("no Redis: %T", w.redis)
}

// keys returns the keys that match a pattern, of every Redis.
func (w *World) keys(ctx context.Context, pattern string) (all []string, err error) {
	var mu sync.Mutex
	err = w.eachRedis(ctx, func(ctx context.Context, c *redis.Client) error {
		it := c.Scan(ctx, 0, pattern, 1000).Iterator()
		for it.Next(ctx) {
			mu.Lock()
			all = append(all, it.Val())
			mu.Unlock()
		}
		return it.Err()
	})
	return all, err
}

var errMoving = errors.New("slots are moving: the two keys of a room may be on two servers")

// readRedis reads Redis' moment from the current primary, and for a Redis Cluster from each shard separately.
func (w *World) readRedis(ctx context.Context) (oracle.Moment, error) {
	moves := w.moves.Load()
	if moves%2 == 1 {
		return oracle.Moment{}, errMoving
	}
	moment, err := w.readShards(ctx)
	if err == nil && w.moves.Load() != moves {
		err = errMoving
	}
	return moment, err
}

func (w *World) readShards(ctx context.Context) (oracle.Moment, error) {
	var mu sync.Mutex
	all := oracle.Moment{Present: map[string]string{}, States: map[string]string{}}
	err := w.eachRedis(ctx, func(ctx context.Context, c *redis.Client) error {
		one, err := oracle.Read(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		maps.Insert(all.Present, w.named(one.Present))
		maps.Insert(all.States, w.named(one.States))
		return err
	})
	return all, err
}

// named yields the values by room, without the braces that a Redis Cluster's keys have.
func (w *World) named(values map[string]string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for room, value := range values {
			if w.opts.Cluster {
				room = strings.TrimSuffix(strings.TrimPrefix(room, "{"), "}")
			}
			if !yield(room, value) {
				return
			}
		}
	}
}

// readShardFeeds reads the feeds of all rooms. In a Redis Cluster each room has its own feed.
func (w *World) readShardFeeds(ctx context.Context) (all []redis.XMessage, err error) {
	feeds, err := w.keys(ctx, feedKey+":*")
	if err != nil {
		return nil, err
	}
	for _, feed := range feeds {
		entries, err := readStream(ctx, w.redis, feed, "+")
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	return all, nil
}
