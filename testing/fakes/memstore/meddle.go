package memstore

import (
	"slices"
	"time"
)

// Key names one of a room's keys.
type Key string

// The keys of a room.
const (
	Participants Key = "participants"
	States       Key = "states"
	Fence        Key = "fence"
)

// Get returns the value of a public key, as another program would read it. It returns false if the key is missing or has another
// type.
func (s *Store) Get(k Key, name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := *s.room(name).public(k)
	if v == nil || v.wrong {
		return "", false
	}
	return v.text, true
}

// Set writes a public key, as another program would.
func (s *Store) Set(k Key, name, text string) { s.put(k, name, &value{text: text}) }

// WrongType gives a key another type, as another program would. A fence of another type counts as no record.
func (s *Store) WrongType(k Key, name string) { s.put(k, name, &value{wrong: true}) }

// Delete removes a key, as another program would.
func (s *Store) Delete(k Key, name string) { s.put(k, name, nil) }

func (s *Store) put(k Key, name string, v *value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(name)
	s.rooms[name] = r
	if k == Fence {
		r.fence = nil
		return
	}
	*r.public(k) = v
}

// Expire gives a public key a time to live, which never runs out in the fake.
func (s *Store) Expire(k Key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := *s.room(name).public(k); v != nil {
		v.expires = true
	}
}

func (r *room) public(k Key) **value {
	if k == Participants {
		return &r.participants
	}
	return &r.states
}

// Unlist removes a room from the index, as a loss of data would.
func (s *Store) Unlist(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.index, name)
}

// RecordLife returns how long a room's record still lives, 0 meaning for ever. It returns false if there is no record.
func (s *Store) RecordLife(name string) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.room(name).fence
	if f == nil {
		return 0, false
	}
	if f.expires == 0 {
		return 0, true
	}
	return time.Duration(f.expires-s.unix()) * time.Second, true
}

// Feed returns the change feed, oldest entry first.
func (s *Store) Feed() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]map[string]string, len(s.feed))
	for i, e := range s.feed {
		all[i] = e.Fields
	}
	return all
}

// Entry is one entry of the change feed. Ids rise, and none is used twice, not even after a loss of data.
type Entry struct {
	ID     uint64
	Fields map[string]string
}

// Entries returns the feed with the entries' ids.
func (s *Store) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.feed)
}
