package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	// shardTimeout bounds how long, on a Redis Cluster, lists and calls that do not belong to one room wait for a shard.
	shardTimeout = 2 * time.Second
	// probeEvery is the pause between two probes of a silent shard, and probeTimeout how long each waits.
	probeEvery   = 250 * time.Millisecond
	probeTimeout = time.Second
	// slotsTimeout bounds one request for the Cluster's slots, and slotsTries is how many are sent: each goes to a random master, which may be
	// the one that hangs.
	slotsTimeout = 250 * time.Millisecond
	slotsTries   = 8
)

// errSilent means that a master of a Redis Cluster did not answer in time. It is probed, and used again once it answers.
var errSilent = errors.New("this shard of the Redis Cluster does not answer")

// shards keeps track of the masters of a Redis Cluster that are silent: a batch or a list timed out on them, and they have not answered a probe
// since. Calls that need not wait for a silent master fail at once, so that a sync does not spend its time on it. A single Redis is never
// silent.
type shards struct {
	client *redis.ClusterClient // nil on one Redis
	log    *slog.Logger
	learnt atomic.Bool // the client knows the slots

	mu     sync.Mutex
	silent map[string]bool // by address

	life  context.Context // cancelled by close
	end   context.CancelFunc
	ended sync.WaitGroup
}

func newShards(client redis.UniversalClient, log *slog.Logger) *shards {
	s := &shards{log: log, silent: map[string]bool{}}
	s.client, _ = client.(*redis.ClusterClient)
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// of returns the address of the master that holds the key, and "" on one Redis or while the Cluster's slots are not known.
func (s *shards) of(ctx context.Context, key string) string {
	if s.client == nil {
		return ""
	}
	s.learn(ctx, key)
	node, err := s.client.MasterForKey(ctx, key)
	if err != nil {
		return ""
	}
	return node.Options().Addr
}

// learn makes the client ask for the slots if it knows none yet. Afterwards the client refreshes them in the background.
func (s *shards) learn(ctx context.Context, key string) {
	for try := 0; !s.learnt.Load() && try < slotsTries && ctx.Err() == nil; try++ {
		bounded, cancel := context.WithTimeout(ctx, slotsTimeout)
		_, err := s.client.MasterForKey(bounded, key)
		cancel()
		if err == nil {
			s.learnt.Store(true)
		}
	}
}

// check returns an error if the shard is silent.
func (s *shards) check(addr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent[addr] {
		return fmt.Errorf("%w: %s", errSilent, addr)
	}
	return nil
}

// note takes the error of a call to a shard about the key. After a timeout the shard is silent until it answers a probe.
func (s *shards) note(addr, key string, err error) {
	if addr == "" || !timedOut(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent[addr] || s.life.Err() != nil {
		return
	}
	s.silent[addr] = true
	s.log.Warn("redis: a shard of the Cluster does not answer: its rooms wait for it or for its failover, the others go on", "shard", addr, "error", err)
	s.ended.Go(func() { s.probe(addr, key) })
}

// probe asks for the key until its master answers; after a failover that is another master.
func (s *shards) probe(addr, key string) {
	for s.life.Err() == nil && !s.answers(key) {
		_ = wait.For(s.life, probeEvery)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, addr)
	if s.life.Err() == nil {
		s.log.Info("redis: the shard's rooms are served again", "shard", addr)
	}
}

// answers reports whether the master of the key gives any reply.
func (s *shards) answers(key string) bool {
	ctx, cancel := context.WithTimeout(s.life, probeTimeout)
	defer cancel()
	err := s.client.Exists(ctx, key).Err()
	var reply redis.Error
	return err == nil || errors.As(err, &reply)
}

func (s *shards) close() {
	s.end()
	s.ended.Wait()
}

// timedOut reports whether an error means that no answer came in time.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// onShard runs a call that concerns the shard of a key and not one room. On a Redis Cluster it fails at once if that shard is silent, and
// otherwise waits at most shardTimeout.
func (s *Store) onShard(ctx context.Context, key string, call func(context.Context) error) error {
	if !s.cluster {
		return call(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, shardTimeout)
	defer cancel()
	addr := s.shards.of(bounded, key)
	if err := s.shards.check(addr); err != nil {
		return err
	}
	err := call(bounded)
	if ctx.Err() == nil { // otherwise it was the caller that ran out of time
		s.shards.note(addr, key, err)
	}
	return err
}
