package actors

import (
	"sync"
	"time"
)

const (
	// surveyFor is how long after its beginning a survey still starts looks. It is short enough that the answer arrives well before the caller
	// gives up. The rooms that have had no look by then are in Findings.Unlooked.
	surveyFor = 2 * time.Minute
	// turnWithin is how long after the beginning of a request its looks may still wait for their turn in the request budget.
	turnWithin = 4 * time.Minute
)

// pace decides how many rooms share a call of ListRooms, and at the rooms of how many calls a survey looks at a time. A look begins with that
// call, so the rooms must be few where the request budget is small: what a look shows must not be old by the time it is used.
type pace struct {
	mu   sync.Mutex
	size int
}

// If the looks at the rooms of one call take less than quickListing, the next call has more rooms. If they take more than slowListing, it has fewer.
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

// calls returns 2 if the looks are quick: while those of one call wait for their last answers, those of the other keep LiveKit and Redis busy.
func (p *pace) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == largestListing {
		return 2
	}
	return 1
}

// took adjusts the number of rooms of the next call: the looks at the rooms of the last call have taken d.
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
