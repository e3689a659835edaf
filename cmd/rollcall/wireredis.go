package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// openStore connects to the configured Redis, which need not answer yet. node is the name by which this node's changes and
// repairs are shown.
func openStore(c Config, target RedisTarget, node string, log *slog.Logger) (*redisstore.Store, error) {
	redis.SetLogger(redisLog{log})
	options, err := redisOptions(c, target, log)
	if err != nil {
		return nil, err
	}
	kinds := reconcile.Kinds{}
	for _, kind := range c.CountKinds {
		kinds[kind] = true
	}
	return redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(options), HashTags: c.RedisHashTags,
		Kinds: kinds, Feed: c.ChangeFeed, FeedMax: c.ChangeFeedMax, Timeline: c.Timeline, Node: node, Log: log})
}

// redisOptions are the connection's, with the files for TLS.
func redisOptions(c Config, target RedisTarget, log *slog.Logger) (*redis.UniversalOptions, error) {
	options := target.Options()
	redisstore.Harden(options)
	return options, c.RedisTLS.apply(options, log)
}

// hintWithin bounds what is asked to find out why Redis cannot be used.
const hintWithin = 2 * time.Second

// redisLog takes what the Redis client says on its own; the store's errors say the same with more sense.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logger.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...), "component", "redis")
}
