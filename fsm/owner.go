package fsm

import (
	"math/bits"
	"slices"
)

// Owner returns the member that owns the room in this view: the one with the highest weight for the room. So a member
// that joins takes rooms only for itself, and when a member leaves, the rooms of the others stay where they are. The
// result depends on ids, not on incarnations. It is false if v has no members, or a hash that this build does not know.
func Owner(v View, room string) (Member, bool) {
	if v.HashVersion < 1 || v.HashVersion > HashVersion || len(v.Members) == 0 {
		return Member{}, false
	}
	name := salted(v.HashVersion, hash(room))
	best, most := 0, uint64(0)
	for i, m := range v.Members {
		// Members are sorted by id: of equal weights the lower id wins.
		if w := weight(name, m.ID); i == 0 || w > most {
			best, most = i, w
		}
	}
	return v.Members[best], true
}

// pastViews is how many past views a state remembers. It is one of the replicated rules.
const pastViews = 32

// setView makes v the current view. A past view keeps only those fields of its members that ownership needs.
func (s *State) setView(v View) {
	if s.View.Epoch != 0 {
		past := View{Epoch: s.View.Epoch, HashVersion: s.View.HashVersion}
		for _, m := range s.View.Members {
			past.Members = append(past.Members, Member{ID: m.ID, Incarnation: m.Incarnation, HashVersion: m.HashVersion})
		}
		first := max(0, len(s.Past)+1-pastViews)
		s.Past = append(slices.Clone(s.Past[first:]), past)
	}
	s.View = v
}

// Owned reports whether that process owns the room in the current view and in every view back to the one of the epoch
// since, which must be remembered. If so, a claim of that epoch is still valid.
func (s State) Owned(room, id string, incarnation, since uint64) bool {
	owns := func(v View) bool {
		m, ok := Owner(v, room)
		return ok && m.ID == id && m.Incarnation == incarnation
	}
	if !owns(s.View) {
		return false
	}
	if s.View.Epoch == since {
		return true
	}
	for _, v := range slices.Backward(s.Past) {
		switch {
		case v.Epoch < since || !owns(v):
			return false
		case v.Epoch == since:
			return true
		}
	}
	return false
}

// weight is version 1 of the hash and must never change: two builds that differ here would both own a room.
func weight(name uint64, id string) uint64 {
	return mix(name ^ bits.RotateLeft64(mix(hash(id)), 32))
}

// hash is 64-bit FNV-1a. It is written out because hash/fnv needs bytes.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of splitmix64. It is needed because FNV alone gives similar ids similar weights.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
