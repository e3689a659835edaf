package main

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// watchRedis begins to try whether commits go through. Readiness, status, metrics and the node's health in the cluster all read its
// last results.
func (n *daemon) watchRedis(target RedisTarget) {
	ctx, cancel := context.WithCancel(context.Background())
	n.redis = n.store.NewHealth(func(s redisstore.Shard) { n.tellShard(ctx, target, s) })
	var runs sync.WaitGroup
	runs.Go(func() { n.redis.Run(ctx) })
	n.endRedis = func() { cancel(); runs.Wait() }
}

// fit tells the cluster which shards this node cannot write. Nodes compare them by the lowest slot, which is the same for all.
func (n *daemon) fit(context.Context) error {
	failing := cluster.Failing{}
	for _, s := range n.redis.Shards() {
		if err := s.Failing(); err != nil {
			failing["redis slot "+strconv.Itoa(s.Slot)] = err
		}
	}
	if len(failing) == 0 {
		return nil
	}
	return failing
}

func cannotWrite(shards []redisstore.Shard) (addrs []string) {
	for _, s := range shards {
		if s.Err != nil {
			addrs = append(addrs, s.Addr)
		}
	}
	return addrs
}

// tellShard logs that a shard ceases to take commits, with the reason and what may be done, or takes them again.
func (n *daemon) tellShard(ctx context.Context, target RedisTarget, s redisstore.Shard) {
	log := n.log
	if target.Mode == RedisCluster {
		log = log.With("shard", s.Addr)
	}
	switch {
	case s.Err == nil:
		log.Info("Redis takes commits again", "redis", target.String())
	case len(n.redis.Shards()) > 1:
		log.Warn("a shard of Redis takes no commits: webhooks for its rooms get 503 until it does; the rooms of other shards go on", "error", s.Err)
	default:
		tellRedis(ctx, n.config, target, s.Err, log)
	}
}

// tellRedis says why Redis cannot be used, and what may be done.
func tellRedis(ctx context.Context, c Config, target RedisTarget, cause error, log *slog.Logger) {
	args := []any{"redis", target.String(), "error", cause}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hintWithin)
	defer cancel()
	if options, err := redisOptions(c, target, log); err == nil {
		if hint := redisHint(ctx, target, options, cause); hint != "" {
			args = append(args, "hint", hint)
		}
	}
	level, text := trouble(cause)
	log.Log(ctx, level, text, args...)
}

// trouble is what a failure means for webhooks and /readyz.
func trouble(err error) (slog.Level, string) {
	switch {
	case errors.Is(err, redisstore.ErrClusterNode):
		return slog.LevelError, "--redis-url is for a single Redis, and a node of a Redis Cluster answers: webhooks get 503, and /readyz too"
	case errors.Is(err, redisstore.ErrForbidden), errors.Is(err, redisstore.ErrReplica), errors.Is(err, redisstore.ErrDenied):
		return slog.LevelError, "Redis answers, and refuses this node's commits: webhooks get 503, and /readyz too, until it takes them"
	case errors.Is(err, redisstore.ErrRefusesWrites):
		return slog.LevelError, "Redis answers, and takes no writes: webhooks get 503 until it does; /readyz stays 200, since no other node could do better"
	case errors.Is(err, redisstore.ErrBusy):
		return slog.LevelWarn, "Redis answers, and takes no commits yet: webhooks get 503, and /readyz too, until it does"
	}
	return slog.LevelWarn, "Redis does not answer: webhooks get 503, and /readyz too, until it does; look at --redis-url and at Redis"
}

// shardMetrics tells of each shard that there is now: one that is gone leaves no series behind.
type shardMetrics struct{ redis *redisstore.Health }

func shardUp() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_redis_shard_up",
		"1 while commits to a master of Redis go through, by its address: 0 there is 503 for its rooms. Where Redis is no Cluster there is one.", []string{"shard"}, nil)
}

// Describe implements prometheus.Collector.
func (m shardMetrics) Describe(to chan<- *prometheus.Desc) { to <- shardUp() }

// Collect implements prometheus.Collector.
func (m shardMetrics) Collect(to chan<- prometheus.Metric) {
	seen := map[string]float64{}
	for _, s := range m.redis.Shards() {
		up, known := seen[s.Addr]
		if !known || up == 1 {
			seen[s.Addr] = oneIf(s.Err == nil)
		}
	}
	for addr, up := range seen {
		to <- prometheus.MustNewConstMetric(shardUp(), prometheus.GaugeValue, up, addr)
	}
}
