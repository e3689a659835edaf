package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	indexPage = 5000 // names that one call to Redis returns
	scanPages = 20   // pages that one search reads
)

// ErrCursor means that a cursor did not come from Rooms.
var ErrCursor = errors.New("an invalid cursor: use the one that the last page gave, or none")

// Index returns the names of all rooms that have public keys, sorted by bytes. It may include a room that has just gone. With a
// reconcile.ErrIncomplete the names are those of the shards of a Redis Cluster that answer.
func (s *Store) Index(ctx context.Context) ([]string, error) {
	if s.cluster {
		l, err := s.lists.get(ctx, false)
		return slices.Clone(l.names), cmp.Or(err, l.err)
	}
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

// Rooms returns up to limit names from the index that contain search (ignoring case; "" for all), starting at cursor ("" for the start). next is
// the cursor of the following page, "" after the last. A search examines a bounded part of the index at a time, so a page may hold fewer names,
// or none, and still have a next. With a reconcile.ErrIncomplete the page holds the rooms of the shards of a Redis Cluster that answer, and next
// continues with theirs.
func (s *Store) Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	return s.rooms(ctx, cursor, limit, search, false)
}

// RoomsLately is like Rooms, except that on a Redis Cluster even the first page may come from a list that is up to a second old: a list takes a
// command for each of the 16,384 hash slots. It is for people who look every other second.
func (s *Store) RoomsLately(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	return s.rooms(ctx, cursor, limit, search, true)
}

// rooms returns a page of a new list, or with lately of the last one; later pages of one walk may come from the same list.
func (s *Store) rooms(ctx context.Context, cursor string, limit int, search string, lately bool) (names []string, next string, err error) {
	from := "-"
	if cursor != "" {
		if cursor[0] != '(' {
			return nil, "", ErrCursor
		}
		from, lately = cursor, true
	}
	limit = max(limit, 1)
	if !s.cluster {
		return s.search(ctx, from, limit, strings.ToLower(search))
	}
	l, err := s.lists.get(ctx, lately)
	if err != nil {
		return nil, "", err
	}
	names, next = l.page(from, limit, strings.ToLower(search))
	return names, next, l.err
}

// search returns a page from the index of one Redis.
func (s *Store) search(ctx context.Context, from string, limit int, search string) (names []string, next string, err error) {
	size := min(limit, indexPage)
	if search != "" {
		size = indexPage
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
	names, err := s.client.ZRangeByLex(ctx, s.keys.allIndex(), &redis.ZRangeBy{Min: from, Max: "+", Count: int64(size)}).Result()
	if wrongType(err) {
		return nil, nil // the next write replaces it
	}
	if err != nil {
		return nil, fmt.Errorf("redis: index: %w", denied(err))
	}
	return names, nil
}

// Delist removes a room without public keys from the index. Its owner calls it, with its current claim; leader is the token if it acts for a
// cleanup. It is refused as a commit is, and with reconcile.Conflict when the room has public keys.
func (s *Store) Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error {
	r := &request{room: room, script: s.scripts.delist, args: append(tokenArgs(claimArgs(nil, c), leader), room),
		keys: append([]string{s.keys.fence(room)}, append(s.keys.public(room), s.keys.index(room))...)}
	if _, err := s.batches.do(ctx, r); err != nil {
		return fmt.Errorf("redis: delist room %q: %w", room, err)
	}
	return nil
}

// RepairScores resets index entries to which others gave a different score. Redis lists by name only where scores are equal: with one that
// differs, lists end early and a sync misses rooms that have gone. On a Redis Cluster the lists are sorted here, so scores do no harm.
func (s *Store) RepairScores(ctx context.Context) error {
	if s.cluster {
		return nil
	}
	for _, side := range []redis.ZRangeBy{{Min: "-inf", Max: "(0", Count: indexPage}, {Min: "(0", Max: "+inf", Count: indexPage}} {
		for {
			rooms, err := s.client.ZRangeByScore(ctx, s.keys.allIndex(), &side).Result()
			if err != nil && !wrongType(err) {
				return fmt.Errorf("redis: index: %w", denied(err))
			}
			if len(rooms) == 0 {
				break
			}
			s.log.Warn("redis: another program wrote rollcall's index: putting it in order; nobody but rollcall may write "+s.keys.every(), "key", s.keys.allIndex(), "entries", len(rooms))
			if err := s.list(ctx, rooms); err != nil {
				return fmt.Errorf("redis: %w", denied(err))
			}
		}
	}
	return nil
}

// list adds rooms to the index, outside their commits.
func (s *Store) list(ctx context.Context, rooms []string) error {
	byKey := map[string][]any{}
	for _, room := range rooms {
		key := s.keys.index(room)
		byKey[key] = append(byKey[key], room)
	}
	cmds := make(map[string]*redis.Cmd, len(byKey))
	pipe := s.client.Pipeline()
	for key, list := range byKey {
		cmds[key] = pipe.Eval(ctx, s.scripts.enlist.text, []string{key}, list...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	for key, cmd := range cmds {
		if cmd.Val() == int64(1) {
			s.logReplaced(key)
		}
	}
	return nil
}

// logReplaced warns that an index had another type because others wrote its key. Reindex finds the rooms that were lost with it.
func (s *Store) logReplaced(key string) {
	s.log.Warn("redis: another program wrote rollcall's index: it has been replaced; nobody but rollcall may write "+s.keys.every(), "key", key)
}
