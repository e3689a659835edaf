package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// openStore connects to the configured Redis, which need not answer yet. node is the name under which this node's changes
// and repairs are shown.
func openStore(c config.Config, target config.RedisTarget, node string, log *slog.Logger) (*redisstore.Store, error) {
	redis.SetLogger(redisLog{log})
	options, err := redisOptions(c, target, log)
	if err != nil {
		return nil, err
	}
	return redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(options), Prefix: c.RedisPrefix, HashTags: c.RedisHashTags,
		Kinds: countedKinds(c), Feed: c.ChangeFeed, FeedMax: c.ChangeFeedMax, Timeline: c.Timeline, Node: node, Log: log})
}

// countedKinds returns the participant kinds that count as people.
func countedKinds(c config.Config) reconcile.Kinds {
	kinds := reconcile.Kinds{}
	for _, kind := range c.CountKinds {
		kinds[kind] = true
	}
	return kinds
}

// redisOptions returns the options of the connection, with the TLS files applied.
func redisOptions(c config.Config, target config.RedisTarget, log *slog.Logger) (*redis.UniversalOptions, error) {
	options := target.Options()
	redisstore.Harden(options)
	return options, applyRedisTLS(c.RedisTLS, options, log)
}

// hintWithin limits the requests that find out why Redis cannot be used.
const hintWithin = 2 * time.Second

// redisLog logs what the Redis client reports by itself, at debug level: the store's errors say the same more clearly.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logger.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...), "component", "redis")
}
