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

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	trailQueue = 4096 // notes that wait; one more is dropped
	trailBatch = 256
	// trailRest is how long a trail that could not write rests; what comes meanwhile waits, or is dropped.
	trailRest = time.Second
)

// note is something to write beside the scripts.
type note interface {
	write(ctx context.Context, pipe redis.Pipeliner)
}

// trail writes notes in the order in which they came, some at a time. Who leaves one never waits and never learns whether it
// was written: it is for people to look at.
type trail struct {
	client  redis.UniversalClient
	log     *slog.Logger
	queue   chan note
	dropped atomic.Int64
	life    context.Context // ends with close
	end     context.CancelFunc
	ended   sync.WaitGroup
}

func newTrail(client redis.UniversalClient, log *slog.Logger) *trail {
	t := &trail{client: client, log: log, queue: make(chan note, trailQueue)}
	t.life, t.end = context.WithCancel(context.Background())
	t.ended.Go(t.run)
	return t
}

// leave takes a note, or drops it.
func (t *trail) leave(n note) {
	select {
	case t.queue <- n:
	default:
		t.dropped.Add(1)
	}
}

func (t *trail) run() {
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

// gather takes what waits already; it never lingers.
func (t *trail) gather(first note) []note {
	batch := []note{first}
	for len(batch) < trailBatch {
		select {
		case n := <-t.queue:
			batch = append(batch, n)
		default:
			return batch
		}
	}
	return batch
}

// write tells whether Redis took the batch. A key of another type is not ours: it is replaced, and this batch lost.
func (t *trail) write(batch []note) bool {
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
	for _, cmd := range cmds {
		if wrongType(cmd.Err()) {
			t.log.Warn("redis: someone else wrote our list: replacing it; nobody but rollcall may write rooms:*", "key", cmd.Args()[1])
			_ = t.client.Del(ctx, fmt.Sprint(cmd.Args()[1])).Err()
			return true
		}
	}
	t.log.Debug("redis: some of what is written beside the commits is lost", "notes", len(batch), "error", err)
	return false
}

func (t *trail) rest() {
	if n := t.dropped.Swap(0); n > 0 {
		t.log.Warn("redis: drift and last changes are lost, for people to look at only", "notes", n)
	}
	timer := time.NewTimer(trailRest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.life.Done():
	}
}

// flush writes what still waits, as far as Redis takes it at once.
func (t *trail) flush() {
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

func (t *trail) close() {
	t.end()
	t.ended.Wait()
}

// repair is an entry of rooms:drift.
type repair struct{ value []byte }

func (r repair) write(ctx context.Context, pipe redis.Pipeliner) {
	pipe.LPush(ctx, driftKey, r.value)
	pipe.LTrim(ctx, driftKey, 0, reconcile.DriftMax-1)
}

// Drifted adds repairs to the cluster's list of drift, which keeps reconcile.DriftMax. It never waits, and what cannot be
// written is lost. at is in Unix ms.
func (s *Store) Drifted(room string, cause reconcile.Cause, at int64, drift []reconcile.Drift) {
	for _, d := range drift {
		value, err := json.Marshal(reconcile.DriftEntry{Time: at, Room: room, Reason: d.Reason, Identity: d.Identity, SID: d.SID,
			Cause: cause, Node: s.node})
		if err == nil {
			s.trail.leave(repair{value})
		}
	}
}

// Drift gives the cluster's last repairs, newest first.
func (s *Store) Drift(ctx context.Context) ([]reconcile.DriftEntry, error) {
	var values []string
	err := s.aside(ctx, driftKey, func(ctx context.Context) (err error) {
		values, err = s.client.LRange(ctx, driftKey, 0, reconcile.DriftMax-1).Result()
		return err
	})
	if err != nil && !wrongType(err) {
		return nil, fmt.Errorf("redis: drift: %w", denied(err))
	}
	entries := []reconcile.DriftEntry{}
	for _, value := range values {
		var e reconcile.DriftEntry
		if json.Unmarshal([]byte(value), &e) == nil && e.Reason != "" { // else others wrote it
			entries = append(entries, e)
		}
	}
	return entries, nil
}
