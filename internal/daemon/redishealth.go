package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// watchRedis starts checking whether commits succeed. Readiness, status, metrics and the node's health in the cluster all
// read its last results.
func (n *Daemon) watchRedis(target config.RedisTarget) {
	ctx, cancel := context.WithCancel(context.Background())
	n.redis = n.store.NewHealth(func(s redisstore.Shard) { n.logShard(ctx, target, s) })
	var runs sync.WaitGroup
	runs.Go(func() { n.redis.Run(ctx) })
	n.endRedis = func() { cancel(); runs.Wait() }
}

// checkHealth is the node's health check. It returns the shards that this node cannot write. Nodes identify a shard by its lowest
// slot, which is the same for all nodes.
func (n *Daemon) checkHealth(context.Context) error {
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

// redisAnswers returns how Redis answers this node.
func redisAnswers(shards []redisstore.Shard) httpapi.Dependency {
	var failing int
	var since time.Time
	d := httpapi.Dependency{State: httpapi.Answers}
	for _, s := range shards {
		err := s.Failing()
		if err == nil {
			continue
		}
		if since.IsZero() || !s.Since.IsZero() && s.Since.Before(since) {
			since = s.Since
		}
		if failing++; failing == 1 {
			d = httpapi.Dependency{State: httpapi.Silent, Error: err.Error()}
			if answers(err) {
				d.State = httpapi.Refuses
			}
			if len(shards) > 1 {
				d.Error = s.Addr + ": " + d.Error
			}
		}
	}
	if failing > 0 && failing < len(shards) {
		d.State = httpapi.Partial
	}
	d.Since = since
	return d
}

// answers reports whether Redis has answered, although with an error.
func answers(err error) bool {
	return slices.ContainsFunc([]error{redisstore.ErrClusterNode, redisstore.ErrForbidden, redisstore.ErrReplica, redisstore.ErrDenied,
		redisstore.ErrRefusesWrites, redisstore.ErrBusy}, func(answer error) bool { return errors.Is(err, answer) })
}

// logShard logs that a shard stops accepting commits, with the reason and what to do, or that it accepts them again.
func (n *Daemon) logShard(ctx context.Context, target config.RedisTarget, s redisstore.Shard) {
	log := n.log
	if target.Mode == config.RedisCluster {
		log = log.With("shard", s.Addr)
	}
	switch {
	case s.Err == nil:
		log.Info("Redis takes commits again", "redis", target.String())
	case len(n.redis.Shards()) > 1:
		log.Warn("a shard of Redis takes no commits: webhooks for its rooms get 503 until it does; the rooms of other shards go on", "error", s.Err)
	default:
		logRedisError(ctx, n.config, target, s.Err, log)
	}
}

// logRedisError logs why Redis cannot be used and what to do.
func logRedisError(ctx context.Context, c config.Config, target config.RedisTarget, cause error, log *slog.Logger) {
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

// trouble returns what a failure means for webhooks and /readyz.
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
	return slog.LevelWarn, "Redis does not answer: webhooks get 503, which LiveKit retries for about 15 s, and /readyz too, until it does; the next sync repairs what was missed. Check Redis and --redis-url"
}

// newShardMetrics returns the metric of each current shard. A shard that no longer exists leaves no series behind.
func newShardMetrics(shards func() []redisstore.Shard) *collector[[]redisstore.Shard] {
	c := &collector[[]redisstore.Shard]{read: shards}
	c.add(prometheus.GaugeValue, "redis_shard_up",
		"1 while commits to a Redis master succeed, by its address; while 0, webhooks for its rooms get 503. Without Redis Cluster there is one series.",
		func(shards []redisstore.Shard, put func(float64, ...string)) {
			seen := map[string]float64{}
			for _, s := range shards {
				up, known := seen[s.Addr]
				if !known || up == 1 {
					seen[s.Addr] = oneIf(s.Err == nil)
				}
			}
			for addr, up := range seen {
				put(up, addr)
			}
		}, "shard")
	return c
}
