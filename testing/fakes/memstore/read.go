package memstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Index matches redisstore's Index.
func (s *Store) Index(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.index)), ctx.Err()
}

// Rooms matches redisstore's Rooms, except for its errors and for searches, which go through the whole index at once.
func (s *Store) Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	all, err := s.Index(ctx)
	if err != nil {
		return nil, "", err
	}
	if cursor != "" && cursor[0] != '(' {
		return nil, "", fmt.Errorf("memstore: an invalid cursor %q", cursor)
	}
	for i, name := range all {
		if cursor != "" && name <= cursor[1:] || !strings.Contains(strings.ToLower(name), strings.ToLower(search)) {
			continue
		}
		if names = append(names, name); len(names) == max(limit, 1) && i+1 < len(all) {
			return names, "(" + name, nil
		}
	}
	return names, "", nil
}

// State matches redisstore's State.
func (s *Store) State(_ context.Context, name string) (json.RawMessage, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch v := s.room(name).states; {
	case v == nil:
		return nil, false, nil
	case v.wrong:
		return nil, true, nil
	default:
		return json.RawMessage(v.text), true, nil
	}
}

// States matches redisstore's States.
func (s *Store) States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	participants, states = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, name := range rooms {
		r := s.room(name)
		if v := r.participants.string(); json.Valid([]byte(v)) {
			participants[name] = json.RawMessage(v)
		}
		if v := r.states.string(); json.Valid([]byte(v)) {
			states[name] = json.RawMessage(v)
		}
	}
	return participants, states, ctx.Err()
}

// Matching returns zeros: the fake holds no data of the application.
func (s *Store) Matching(ctx context.Context) (active, queue int64, err error) {
	return 0, 0, ctx.Err()
}

// Generation matches redisstore's Generation.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation, ctx.Err()
}

// RaiseGeneration matches redisstore's RaiseGeneration.
func (s *Store) RaiseGeneration(ctx context.Context, g uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation = max(s.generation, g)
	return ctx.Err()
}

// Delist matches redisstore's Delist.
func (s *Store) Delist(ctx context.Context, name string, c reconcile.Claim, leader reconcile.Token) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memstore: delist room %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(name)
	why := refuse(r.fence, c, leader, nil)
	if why == 0 && (r.participants != nil || r.states != nil) {
		why = reconcile.Conflict
	}
	if why != 0 {
		return fmt.Errorf("memstore: delist room %q: %w", name, why)
	}
	delete(s.index, name)
	return nil
}

// Reindex adds the rooms that have public keys to the index.
func (s *Store) Reindex(ctx context.Context, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range s.rooms {
		if r.participants != nil || r.states != nil {
			s.index[name] = true
		}
	}
	return ctx.Err()
}
