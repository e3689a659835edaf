// Package redisstore keeps rooms in Redis. It guarantees that a plan is either committed completely or refused: one script checks the claim, the
// version and the leader's token, and writes the record, both public keys and the change feed. It also guarantees that a claim reads the room
// that it claimed, that a caller never waits past its context, and that it touches no keys but its own. Data that is only for people to look at
// (the drift list, and the last changes when the feed is not one stream) is written outside the scripts: a commit neither waits for it nor fails
// with it, and it may be lost.
//
// Keys are built in keys.go; the scripts are in lua/. Claims and commits of different rooms travel in batches; those of one room are sent one
// after another. Webhooks and syncs never scan: rooms are found by an index, which the rooms' scripts write. On a Redis Cluster each shard has
// its own batches and its own part of the index, so a shard that hangs delays no room of another shard.
//
// An error that is a reconcile.Refusal is Redis' answer. With any other error the result of a claim or commit is unknown: it may have happened,
// or may still happen within Patience. Claim the room again to read what is stored.
package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Patience bounds how long a batch waits for Redis. It is below the 5 s that a webhook may take.
const Patience = 4 * time.Second

// DefaultFeedMax is about how many entries the change feed keeps unless Options say otherwise.
const DefaultFeedMax = 100_000

// Options configure a Store.
type Options struct {
	// Client talks to one Redis, to Sentinel or to Redis Cluster, with options that went through Harden. The Store closes it.
	Client redis.UniversalClient
	// Prefix begins every key, "" for DefaultPrefix. It must have neither braces nor wildcards. Stores with different prefixes share a Redis
	// without seeing each other, if no prefix followed by participants:, states:, fence: or timeline: is the beginning of another one.
	Prefix string
	// HashTags puts a room's keys into one slot: rooms:states:{room} with literal braces. Redis Cluster needs it.
	HashTags bool
	// Kinds are the participant kinds that count as present.
	Kinds reconcile.Kinds
	// Feed turns the change feed on; FeedMax is about how many entries each of its streams keeps, 0 for DefaultFeedMax.
	Feed    bool
	FeedMax int64
	// Timeline keeps each room's last changes; Node is this node's name in the timelines and in the drift list.
	Timeline bool
	Node     string
	Log      *slog.Logger // nil for slog.Default()
}

// Store is the Redis adapter. Its methods are safe for concurrent use.
type Store struct {
	client   redis.UniversalClient
	cluster  bool // commands of one pipeline go to several nodes and have no common order
	keys     keys
	kinds    reconcile.Kinds
	feedMax  int64 // 0: no feed
	stories  bool  // keep timelines
	node     string
	log      *slog.Logger
	scripts  scripts
	batches  *batcher
	shards   *shards
	lists    *lister // only on a Redis Cluster
	async    *asyncWriter
	appended feedCounter
	// stageFrom is the size in bytes from which a value does not go through the script.
	stageFrom int
	nonce     atomic.Uint64 // of the next key for such a value; it begins at random

	modeChecked atomic.Bool
	layout      atomic.Pointer[[]master] // the shards as last reported
}

// Harden sets what a Store's client must have: no retries of its own (a commit that is sent twice would be refused although it succeeded),
// deadlines from the context, and waits that end within Patience.
func Harden(o *redis.UniversalOptions) {
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.DialerRetries = Patience/2, 1
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = Patience, Patience, Patience
}

// Open makes a Store. Redis need not be reachable yet; Ping reports whether it is.
func Open(o Options) (*Store, error) {
	s := &Store{client: o.Client, keys: keys{prefix: cmp.Or(o.Prefix, DefaultPrefix), tags: o.HashTags}, kinds: o.Kinds, log: cmp.Or(o.Log, slog.Default()),
		stories: o.Timeline, node: o.Node, appended: newFeedCounter(), stageFrom: stageFrom}
	s.nonce.Store(rand.Uint64())
	switch c := o.Client.(type) {
	case *redis.Client:
		if c.Options().MaxRetries > 0 || !c.Options().ContextTimeoutEnabled {
			return nil, errors.New("redis: the client's options did not go through redisstore.Harden")
		}
	case *redis.ClusterClient:
		if !o.HashTags {
			return nil, errors.New("redis: Redis Cluster needs hash tags (--redis-hash-tags)")
		}
		if !c.Options().ContextTimeoutEnabled {
			return nil, errors.New("redis: the client's options did not go through redisstore.Harden")
		}
		s.cluster, s.keys.slots = true, slotTags()
	default:
		return nil, fmt.Errorf("redis: a %T cannot be used: want one Redis, Sentinel or Redis Cluster", o.Client)
	}
	if o.Feed {
		s.feedMax = o.FeedMax
		if s.feedMax <= 0 {
			s.feedMax = DefaultFeedMax
		}
	}
	var err error
	if s.scripts, err = loadScripts(); err != nil {
		return nil, err
	}
	s.client.AddHook(unanswered{})
	s.shards = newShards(s.client, s.log)
	s.lists = &lister{read: s.slotsIndex}
	s.batches = newBatcher(s.send)
	s.batches.lane = func(ctx context.Context, r *request) string { return s.shards.of(ctx, r.keys[0]) }
	s.batches.check = s.shards.check
	s.batches.note = func(lane string, r *request, err error) { s.shards.note(lane, r.keys[0], err) }
	s.async = newAsyncWriter(s.client, s.log)
	return s, nil
}

// Close refuses further claims and commits, waits for those in progress and for the async writer (at most Patience each) and closes the client.
func (s *Store) Close() error {
	s.batches.close()
	s.async.close()
	s.lists.close()
	s.shards.close()
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}

// ErrDenied means that Redis answers but rejects the user or the password; waiting does not help.
var ErrDenied = errors.New("user or password refused by Redis")

// UnknownPolicy is what MaxmemoryPolicy returns when Redis does not report the policy.
const UnknownPolicy = "unknown"

// MaxmemoryPolicy returns Redis' maxmemory-policy; any but noeviction may lose records. Managed Redis often refuses CONFIG: then the policy
// comes from INFO, and if that is refused too, the result is UnknownPolicy without an error.
func (s *Store) MaxmemoryPolicy(ctx context.Context) (string, error) {
	got, err := s.client.ConfigGet(ctx, "maxmemory-policy").Result()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return "", fmt.Errorf("redis: maxmemory-policy: %w", err)
	}
	if policy := got["maxmemory-policy"]; err == nil && policy != "" {
		return policy, nil
	}
	policy, err := s.policyInfo(ctx)
	if policy == "" && err == nil {
		policy = UnknownPolicy
	}
	return policy, err
}
