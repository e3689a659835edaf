package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// recordLife is how long the record of a room without public keys stays. The scripts set it; this one dates the index.
const recordLife = 24 * time.Hour

const (
	indexPage = 5000 // names that one call to Redis brings
	scanPages = 20   // pages that one search goes through
)

// ErrCursor says that a cursor is not one that Rooms gave.
var ErrCursor = errors.New("an invalid cursor: use the one that the last page gave, or none")

// Index gives the names of all rooms that have public keys, by byte order. It may name a room that just went.
func (s *Store) Index(ctx context.Context) ([]string, error) {
	var all []string
	for from := "-"; ; {
		names, err := s.page(ctx, from, indexPage)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
		if len(names) < indexPage {
			return all, nil
		}
		from = "(" + names[len(names)-1]
	}
}

// Rooms gives up to limit names of the index whose name contains search (in any case; "" for all), from cursor on ("" for
// the start). next is the cursor of the following page, "" after the last. A search goes through a bounded part of the
// index at a time: a page may hold fewer names, or none, and yet have a next.
func (s *Store) Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	from := "-"
	if cursor != "" {
		if cursor[0] != '(' {
			return nil, "", ErrCursor
		}
		from = cursor
	}
	limit = max(limit, 1)
	size := min(limit, indexPage)
	if search != "" {
		size, search = indexPage, strings.ToLower(search)
	}
	for range scanPages {
		found, err := s.page(ctx, from, size)
		if err != nil {
			return nil, "", err
		}
		for i, name := range found {
			from = "(" + name
			if !strings.Contains(strings.ToLower(name), search) {
				continue
			}
			if names = append(names, name); len(names) == limit && (i+1 < len(found) || len(found) == size) {
				return names, from, nil
			}
		}
		if len(found) < size {
			return names, "", nil
		}
	}
	return names, from, nil
}

func (s *Store) page(ctx context.Context, from string, size int) ([]string, error) {
	names, err := s.client.ZRangeByLex(ctx, indexKey, &redis.ZRangeBy{Min: from, Max: "+", Count: int64(size)}).Result()
	if wrongType(err) {
		return nil, nil // the next write replaces it
	}
	if err != nil {
		return nil, fmt.Errorf("redis: index: %w", denied(err))
	}
	return names, nil
}

// Delist takes a room without public keys off the index. Its owner asks, with the claim that stands; leader is the token
// when it acts for a cleanup. It is refused as a commit is, and with reconcile.Conflict when the room has public keys.
func (s *Store) Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error {
	r := &request{room: room, script: s.scripts.delist, unlist: true, args: tokenArgs(claimArgs(nil, c), leader),
		keys: append([]string{s.keys.fence(room)}, s.keys.public(room)...)}
	if _, err := s.batches.do(ctx, r); err != nil {
		return fmt.Errorf("redis: delist room %q: %w", room, err)
	}
	return nil
}

// Forget drops up to limit entries of rooms:records whose record has gone, by Redis' clock, and tells how many it dropped.
// Redis itself drops the records.
func (s *Store) Forget(ctx context.Context, limit int) (int, error) {
	now, err := s.client.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("redis: records: %w", denied(err))
	}
	rooms, err := s.client.ZRangeByScore(ctx, recordsKey,
		&redis.ZRangeBy{Min: "-inf", Max: signed(now.Unix()), Count: int64(limit)}).Result()
	if len(rooms) == 0 {
		if wrongType(err) || err == nil {
			return 0, nil
		}
		return 0, fmt.Errorf("redis: records: %w", denied(err))
	}
	ttls := make([]*redis.DurationCmd, len(rooms))
	pipe := s.client.Pipeline()
	for i, room := range rooms {
		ttls[i] = pipe.TTL(ctx, s.keys.fence(room))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("redis: records: %w", denied(err))
	}
	gone := 0
	pipe = s.client.Pipeline()
	for i, room := range rooms {
		// A later claim gave the record more time; one without a time belongs to a live room, and the index has it.
		if left := ttls[i].Val(); left > 0 {
			pipe.ZAddXX(ctx, recordsKey, redis.Z{Member: room, Score: float64(now.Add(left).Unix() + 1)})
			continue
		}
		pipe.ZRem(ctx, recordsKey, room)
		gone++
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("redis: records: %w", denied(err))
	}
	return gone, nil
}

// Straighten gives entries of the index to which others gave a score the common one again. Redis lists by name only where
// scores are equal: with one that differs, lists end early and a sync misses rooms that have gone.
func (s *Store) Straighten(ctx context.Context) error {
	for _, side := range []redis.ZRangeBy{{Min: "-inf", Max: "(0", Count: indexPage}, {Min: "(0", Max: "+inf", Count: indexPage}} {
		for {
			rooms, err := s.client.ZRangeByScore(ctx, indexKey, &side).Result()
			if err != nil && !wrongType(err) {
				return fmt.Errorf("redis: index: %w", denied(err))
			}
			if len(rooms) == 0 {
				break
			}
			s.log.Warn("redis: someone else wrote our index: putting it in order; nobody but rollcall may write rooms:*", "key", indexKey, "entries", len(rooms))
			if err := s.list(ctx, rooms); err != nil {
				return fmt.Errorf("redis: %w", denied(err))
			}
		}
	}
	return nil
}

// list adds rooms to the index.
func (s *Store) list(ctx context.Context, rooms []string) error {
	err := s.client.ZAdd(ctx, indexKey, entries(rooms)...).Err()
	if wrongType(err) {
		s.relist(ctx, rooms, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}

// relist repairs the index after adding to it failed. What is lost with a key of another type, Discover finds again.
func (s *Store) relist(ctx context.Context, rooms []string, cause error) {
	if wrongType(cause) {
		s.log.Warn("redis: someone else wrote our index: replacing it; nobody but rollcall may write rooms:*", "key", indexKey)
		_ = s.client.Del(ctx, indexKey).Err()
		cause = s.client.ZAdd(ctx, indexKey, entries(rooms)...).Err()
	}
	if cause != nil {
		s.log.Warn("redis: rooms are missing from the index until they change or a scan finds them",
			"rooms", len(rooms), "error", cause)
	}
}

// settled is a request with its answer, which waits for the index.
type settled struct {
	*request
	answer
}

// leave takes rooms off the index: those whose public keys a script removed or found absent, whose records it lists, and
// those of refused writes that have no public keys.
//
// The index is outside the scripts, so another owner may have written a room since. That owner lists the room after its
// write; here the keys are looked for after the entry has gone: whichever comes last sees the other and puts the entry
// back. What fails leaves an entry too many, for cleanup.
func (s *Store) leave(ctx context.Context, rooms []settled) {
	var gone, doubtful []string
	var records []redis.Z
	for _, one := range rooms {
		if one.err != nil {
			doubtful = append(doubtful, one.room)
			continue
		}
		gone = append(gone, one.room)
		now := seconds(one.reply[0])
		records = append(records, redis.Z{Member: one.room, Score: float64(now) + recordLife.Seconds()})
	}
	_, absent := s.present(ctx, doubtful)
	gone = append(gone, absent...)
	if len(gone) == 0 {
		return
	}
	if err := s.client.ZRem(ctx, indexKey, members(gone)...).Err(); err != nil && !wrongType(err) {
		s.log.Warn("redis: rooms that have gone stay in the index until cleanup", "rooms", len(gone), "error", err)
	}
	if err := s.listRecords(ctx, records); err != nil {
		s.log.Warn("redis: records are not listed, and end unnoticed", "rooms", len(records), "error", err)
	}
	back, _ := s.present(ctx, gone)
	if len(back) > 0 {
		s.relist(ctx, back, s.client.ZAdd(ctx, indexKey, entries(back)...).Err())
	}
}

// present tells rooms that have public keys, or whose keys cannot be looked for, from those that have none.
func (s *Store) present(ctx context.Context, rooms []string) (present, absent []string) {
	if len(rooms) == 0 {
		return nil, nil
	}
	found := make([]*redis.IntCmd, len(rooms))
	pipe := s.client.Pipeline()
	for i, room := range rooms {
		found[i] = pipe.Exists(ctx, s.keys.public(room)...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, room := range rooms {
		if found[i].Err() == nil && found[i].Val() == 0 {
			absent = append(absent, room)
		} else {
			present = append(present, room)
		}
	}
	return present, absent
}

func (s *Store) listRecords(ctx context.Context, records []redis.Z) error {
	if len(records) == 0 {
		return nil
	}
	err := s.client.ZAdd(ctx, recordsKey, records...).Err()
	if wrongType(err) {
		s.log.Warn("redis: someone else wrote our index: replacing it; nobody but rollcall may write rooms:*", "key", recordsKey)
		_ = s.client.Del(ctx, recordsKey).Err()
		err = s.client.ZAdd(ctx, recordsKey, records...).Err()
	}
	return err
}

func entries(rooms []string) []redis.Z {
	list := make([]redis.Z, len(rooms))
	for i, room := range rooms {
		list[i].Member = room
	}
	return list
}

func members(rooms []string) []any {
	list := make([]any, len(rooms))
	for i, room := range rooms {
		list[i] = room
	}
	return list
}
