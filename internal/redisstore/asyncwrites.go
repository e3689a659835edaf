package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	asyncQueue = 4096 // how many writes may wait; further ones are dropped
	asyncBatch = 256
	// asyncRest is how long the writer pauses after a failed write; writes that arrive meanwhile wait, or are dropped.
	asyncRest = time.Second
)

// pendingWrite is a write outside the scripts.
type pendingWrite interface {
	write(ctx context.Context, pipe redis.Pipeliner)
}

// asyncWriter performs pending writes in order, in batches. A caller never waits, and never learns whether its write succeeded: the data is only
// for people to look at.
type asyncWriter struct {
	client  redis.UniversalClient
	log     *slog.Logger
	queue   chan pendingWrite
	dropped atomic.Int64    // since the last line of the log that says so
	lost    atomic.Uint64   // since the start, dropped or failed
	life    context.Context // cancelled by close
	end     context.CancelFunc
	ended   sync.WaitGroup
}

func newAsyncWriter(client redis.UniversalClient, log *slog.Logger) *asyncWriter {
	t := &asyncWriter{client: client, log: log, queue: make(chan pendingWrite, asyncQueue)}
	t.life, t.end = context.WithCancel(context.Background())
	t.ended.Go(t.run)
	return t
}

// enqueue queues a write, or drops it if the queue is full.
func (t *asyncWriter) enqueue(n pendingWrite) {
	select {
	case t.queue <- n:
	default:
		t.dropped.Add(1)
		t.lost.Add(1)
	}
}

func (t *asyncWriter) run() {
	for {
		select {
		case first := <-t.queue:
			if !t.write(t.gather(first)) {
				t.rest()
			}
		case <-t.life.Done():
			t.flush()
			return
		}
	}
}

// gather returns first and the writes that already wait; it never waits for more.
func (t *asyncWriter) gather(first pendingWrite) []pendingWrite {
	batch := []pendingWrite{first}
	for len(batch) < asyncBatch {
		select {
		case n := <-t.queue:
			batch = append(batch, n)
		default:
			return batch
		}
	}
	return batch
}

// write reports whether Redis took the batch. A key of another type is not ours: it is deleted, and this batch is lost.
func (t *asyncWriter) write(batch []pendingWrite) bool {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	pipe := t.client.Pipeline()
	for _, n := range batch {
		n.write(ctx, pipe)
	}
	cmds, err := pipe.Exec(ctx)
	if err == nil {
		return true
	}
	t.lost.Add(uint64(len(batch)))
	for _, cmd := range cmds {
		if wrongType(cmd.Err()) {
			t.log.Warn("redis: another program wrote rollcall's list: replacing it; nobody but rollcall may write it", "key", cmd.Args()[1])
			_ = t.client.Del(ctx, fmt.Sprint(cmd.Args()[1])).Err()
			return true
		}
	}
	t.log.Debug("redis: some writes outside the commits are lost", "notes", len(batch), "error", err)
	return false
}

func (t *asyncWriter) rest() {
	if n := t.dropped.Swap(0); n > 0 {
		t.log.Warn("redis: entries of the drift list and of the last changes are lost; they are only for people to look at", "notes", n)
	}
	_ = wait.For(t.life, asyncRest)
}

// flush performs the writes that still wait, until one fails.
func (t *asyncWriter) flush() {
	for {
		select {
		case first := <-t.queue:
			if !t.write(t.gather(first)) {
				return
			}
		default:
			return
		}
	}
}

func (t *asyncWriter) close() {
	t.end()
	t.ended.Wait()
}

// repair is an entry of rooms:drift.
type repair struct {
	key   string
	value []byte
}

func (r repair) write(ctx context.Context, pipe redis.Pipeliner) {
	pipe.LPush(ctx, r.key, r.value)
	pipe.LTrim(ctx, r.key, 0, reconcile.DriftMax-1)
}

// Drifted adds repairs to the cluster's drift list, which keeps reconcile.DriftMax entries. It never waits; entries that cannot be written are
// lost. at is in Unix ms.
func (s *Store) Drifted(room string, cause reconcile.Cause, at int64, drift []reconcile.Drift) {
	for _, d := range drift {
		value, err := json.Marshal(reconcile.DriftEntry{Time: at, Room: room, Reason: d.Reason, Identity: d.Identity, SID: d.SID,
			Cause: cause, Node: s.node})
		if err == nil {
			s.async.enqueue(repair{s.keys.drift(), value})
		}
	}
}

// Drift returns the cluster's last repairs, newest first.
func (s *Store) Drift(ctx context.Context) ([]reconcile.DriftEntry, error) {
	var values []string
	err := s.onShard(ctx, s.keys.drift(), func(ctx context.Context) (err error) {
		values, err = s.client.LRange(ctx, s.keys.drift(), 0, reconcile.DriftMax-1).Result()
		return err
	})
	if err != nil && !wrongType(err) {
		return nil, fmt.Errorf("redis: drift: %w", denied(err))
	}
	return driftOf(values), nil
}

// driftOf parses entries of rooms:drift and skips what others wrote.
func driftOf(values []string) []reconcile.DriftEntry {
	entries := []reconcile.DriftEntry{}
	for _, value := range values {
		var e reconcile.DriftEntry
		if json.Unmarshal([]byte(value), &e) == nil && e.Reason != "" {
			entries = append(entries, e)
		}
	}
	return entries
}
