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
)

const (
	// asideTimeout bounds, on a Redis Cluster, how long lists and what is not of one room wait for a shard.
	asideTimeout = 2 * time.Second
	// probeEvery is the pause between two probes of a silent shard, probeTimeout how long each waits.
	probeEvery   = 250 * time.Millisecond
	probeTimeout = time.Second
	// slotsTimeout bounds one question for the Cluster's slots, and slotsTries how many there are: each goes to a master at random, which
	// may be the one that hangs.
	slotsTimeout = 250 * time.Millisecond
	slotsTries   = 8
)

// errSilent says that a master of a Redis Cluster did not answer in time. It is probed, and asked again once it answers.
var errSilent = errors.New("this shard of the Redis Cluster does not answer")

// shards knows which masters of a Redis Cluster are silent: they let a batch, or a list, run into its timeout and have not answered a
// probe since. What need not wait for one of them fails at once, so that a sync does not spend its time on it. On one Redis
// nothing is ever silent.
type shards struct {
	client *redis.ClusterClient // nil on one Redis
	log    *slog.Logger
	learnt atomic.Bool // the client knows the slots

	mu     sync.Mutex
	silent map[string]bool // by address

	life  context.Context // ends with close
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

// learn has the client ask for the slots if it knows none yet. Afterwards it renews them beside the requests.
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

// note takes the error of a call to a shard about the key. If it is a timeout the shard is silent until it answers a probe.
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

// probe asks for the key until its master answers, which after a failover is another one.
func (s *shards) probe(addr, key string) {
	for s.life.Err() == nil && !s.answers(key) {
		timer := time.NewTimer(probeEvery)
		select {
		case <-timer.C:
		case <-s.life.Done():
		}
		timer.Stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, addr)
	if s.life.Err() == nil {
		s.log.Info("redis: the shard's rooms are served again", "shard", addr)
	}
}

// answers reports whether the master of the key says anything at all.
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

// timedOut reports whether an error is the lack of an answer in time.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// aside bounds what concerns the shard of a key and no room: on a Redis Cluster it fails at once if that shard is silent, and
// waits a short time for it otherwise.
func (s *Store) aside(ctx context.Context, key string, call func(context.Context) error) error {
	if !s.cluster {
		return call(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, asideTimeout)
	defer cancel()
	addr := s.shards.of(bounded, key)
	if err := s.shards.check(addr); err != nil {
		return err
	}
	err := call(bounded)
	if ctx.Err() == nil { // otherwise the caller had no time
		s.shards.note(addr, key, err)
	}
	return err
}
