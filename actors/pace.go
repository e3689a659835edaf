package actors

import (
	"sync"
	"time"
)

const (
	// surveyFor is how long a survey starts looks, so that its answer arrives well before the caller gives up. The rooms that remain are
	// Findings.Unlooked.
	surveyFor = 2 * time.Minute
	// turnWithin limits, from the beginning of a request, how long its looks wait for their turn in the request budget.
	turnWithin = 4 * time.Minute
)

// pace decides how many rooms share a call of ListRooms. A look begins with that call, so the rooms must be few where the request budget
// is small: what a look shows must not be old by the time it is used.
type pace struct {
	mu   sync.Mutex
	size int
}

// Looks at the rooms of one call that take less than quickListing make the next call larger, those that take more than slowListing
// make it smaller.
const (
	quickListing = 15 * time.Second
	slowListing  = time.Minute
	firstListing = largestListing / 4
)

// rooms returns how many rooms the next call is to list.
func (p *pace) rooms() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == 0 {
		p.size = firstListing
	}
	return p.size
}

// took adjusts that number after the looks at that many rooms took d.
func (p *pace) took(rooms int, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case d > slowListing:
		p.size = max(1, min(p.size, rooms)/2)
	case d < quickListing && rooms >= p.size:
		p.size = min(2*p.size, largestListing)
	}
}
