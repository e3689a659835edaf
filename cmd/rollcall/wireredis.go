package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// embedded is the Redis in memory that a single node has when it is told of no other. Its keys are gone when it stops.
type embedded struct {
	server *miniredis.Miniredis
	end    context.CancelFunc
	clock  sync.WaitGroup
}

// startEmbedded listens on a free loopback port. miniredis has a clock of its own that stands still: it is driven here,
// so that times to live run.
func startEmbedded(addr string) (*embedded, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("start the embedded Redis: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	e := &embedded{server: server, end: end}
	e.clock.Go(func() { e.drive(ctx) })
	return e, nil
}

func (e *embedded) drive(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.server.FastForward(time.Since(last))
			last = time.Now()
		}
	}
}

func (e *embedded) stop() {
	e.end()
	e.clock.Wait()
	e.server.Close()
}

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
