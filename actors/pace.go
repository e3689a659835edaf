package actors

import (
	"sync"
	"time"
)

const (
	// surveyFor is for how long an owner begins looks of one request, so that the answer comes well before who asked gives up.
	surveyFor = 2 * time.Minute
	// turnWithin bounds, from the beginning of a request, the wait of its looks for their turn in the request budget.
	turnWithin = 4 * time.Minute
)

// pace is how many rooms share a call of ListRooms. A look begins with that call, so where the request budget is small they must be few:
// what a look shows must not be old by the time it is used.
type pace struct {
	mu   sync.Mutex
	size int
}

// Of a chunk of looks: what is quick lets the next one grow, what is slow makes it shrink.
const (
	quickChunk = 15 * time.Second
	slowChunk  = time.Minute
	firstChunk = surveyChunk / 4
)

// rooms is the size of the next chunk.
func (p *pace) rooms() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == 0 {
		p.size = firstChunk
	}
	return p.size
}

// took learns from a chunk of that size.
func (p *pace) took(rooms int, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case d > slowChunk:
		p.size = max(1, min(p.size, rooms)/2)
	case d < quickChunk && rooms >= p.size:
		p.size = min(2*p.size, surveyChunk)
	}
}
