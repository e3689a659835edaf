package httpapi

import (
	"hash/maphash"
	"sync"
)

// repeats remembers the last event ids, by their hashes, to count deliveries that came before. Only a metric hangs on it.
type repeats struct {
	seed maphash.Seed
	mu   sync.Mutex
	ring []uint64 // oldest first from next on
	next int
	held map[uint64]bool
}

func newRepeats(size int) *repeats {
	return &repeats{seed: maphash.MakeSeed(), ring: make([]uint64, 0, size), held: make(map[uint64]bool, size)}
}

// again notes id and tells whether it was noted before. The empty id is nobody's.
func (r *repeats) again(id string) bool {
	if id == "" {
		return false
	}
	sum := maphash.String(r.seed, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[sum] {
		return true
	}
	r.held[sum] = true
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, sum)
		return false
	}
	delete(r.held, r.ring[r.next])
	r.ring[r.next] = sum
	r.next = (r.next + 1) % len(r.ring)
	return false
}
