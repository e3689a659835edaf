package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// listLife is how old the list may be that later pages come from.
	listLife = time.Second
	// listBatch is how many slots' keys one pipeline reads.
	listBatch = 2048
)

// listing is the index of a Redis Cluster, read from the keys of all its slots.
type listing struct {
	began, completed time.Time // when reading began, and when it was complete
	names            []string  // sorted by bytes
	err              error     // a reconcile.ErrIncomplete if shards are missing
}

// page returns up to limit names after from ("-", or a cursor) that contain search, which is in lower case.
func (l *listing) page(from string, limit int, search string) (names []string, next string) {
	at := 0
	if name, ok := strings.CutPrefix(from, "("); ok {
		found := false
		if at, found = slices.BinarySearch(l.names, name); found {
			at++
		}
	}
	for i, name := range l.names[at:] {
		if !strings.Contains(strings.ToLower(name), search) {
			continue
		}
		if names = append(names, name); len(names) == limit && at+i+1 < len(l.names) {
			return names, "(" + name
		}
	}
	return names, ""
}

// lister keeps the last list. Callers that want one at the same time share it.
type lister struct {
	read func(context.Context) listing

	mu      sync.Mutex
	last    listing
	reading *reading
	wait    sync.WaitGroup
}

// reading is a list that is being read. done is closed when it is complete.
type reading struct{ done chan struct{} }

// get returns a list that was begun after this call or, with lately, one that was completed at most listLife ago. It returns the error of ctx,
// or the error of a list of which nothing could be read.
func (l *lister) get(ctx context.Context, lately bool) (listing, error) {
	asked := time.Now()
	for {
		l.mu.Lock()
		last := l.last
		// However long a list takes, the pages of one walk come from few lists.
		if !last.began.IsZero() && (lately && time.Since(last.completed) <= listLife || !last.began.Before(asked)) {
			l.mu.Unlock()
			if last.err != nil && !errors.Is(last.err, reconcile.ErrIncomplete) {
				return listing{}, last.err
			}
			return last, nil
		}
		f := l.reading
		if f == nil {
			f = &reading{done: make(chan struct{})}
			l.reading = f
			l.wait.Go(func() { l.refresh(f) })
		}
		l.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return listing{}, fmt.Errorf("redis: index: %w", ctx.Err())
		}
	}
}

func (l *lister) refresh(f *reading) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	list := l.read(ctx)
	list.completed = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.reading = list, nil
	close(f.done)
}

func (l *lister) close() { l.wait.Wait() }

// slotsIndex reads the index of every hash slot, from all shards concurrently. It leaves out a shard that fails or is silent.
func (s *Store) slotsIndex(ctx context.Context) listing {
	list := listing{began: time.Now()}
	byShard := map[string][]string{}
	for slot := range slotCount {
		key := s.keys.indexOf(slot)
		addr := s.shards.of(ctx, key)
		byShard[addr] = append(byShard[addr], key)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	answered := false
	for addr, keys := range byShard {
		all.Go(func() {
			names, some, err := s.shardIndex(ctx, addr, keys)
			mu.Lock()
			defer mu.Unlock()
			list.names = append(list.names, names...)
			answered = answered || some
			if err != nil && list.err == nil {
				list.err = fmt.Errorf("redis: index of shard %s: %w", addr, denied(err))
			}
		})
	}
	all.Wait()
	if answered && list.err != nil {
		list.err = fmt.Errorf("%w: %w", reconcile.ErrIncomplete, list.err)
	}
	slices.Sort(list.names)
	list.names = slices.Compact(list.names)
	return list
}

// shardIndex reads index keys that one shard holds, until it fails; some reports whether any key was answered. Slots that no master owns are
// requested from an arbitrary shard, which refuses them.
func (s *Store) shardIndex(ctx context.Context, addr string, keys []string) (names []string, some bool, failed error) {
	for batch := range slices.Chunk(keys, listBatch) {
		err := s.onShard(ctx, batch[0], func(ctx context.Context) error {
			found, answered, err := s.namesOf(ctx, batch)
			names, some = append(names, found...), some || answered
			if answered {
				failed = cmp.Or(failed, err)
				return nil
			}
			return err
		})
		if err != nil {
			return names, some, err
		}
	}
	return names, some, failed
}

// namesOf reads index keys. It returns the first error, together with the names from the other keys.
func (s *Store) namesOf(ctx context.Context, keys []string) (names []string, answered bool, failed error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.StringSliceCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.ZRange(ctx, key, 0, -1)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for _, cmd := range cmds {
		switch err := cmd.Err(); {
		case err == nil, wrongType(err): // of another type: the next write replaces it
			answered = true
			names = append(names, cmd.Val()...)
		default:
			failed = cmp.Or(failed, err)
		}
	}
	return names, answered, failed
}
