package httpapi

import (
	"sync"
	"time"
)

// How the semaphore distinguishes an overloaded node from one that waits for something. If Redis or an owner hangs for a
// while, either nothing completes or only some webhooks are delayed. Too much work delays nearly everything, and work still
// completes.
const (
	// tooLate is the time after which an answer counts as late. A webhook has Limits.Deliver, 5 s, in all.
	tooLate = time.Second
	// span is how long answers are observed before the limit moves.
	span = 500 * time.Millisecond
	// fewest is the value below which the limit does not fall.
	fewest = 256
)

// adaptiveSemaphore limits concurrent webhooks. A webhook that finds no free slot is refused at once; none queues. With more
// in flight than the node can complete in time, all would run out of time together and nothing would complete. So while most
// answers are late, the limit is what the node completes within tooLate. It rises again while they are not.
type adaptiveSemaphore struct {
	limit int64 // upper limit

	mu          sync.Mutex
	taken       int64
	bound       int64     // the current limit; 0 for limit
	since       time.Time // time of the first answer that counts
	done, lates int64     // answers since then
}

// acquire takes a slot and reports whether there was one.
func (p *adaptiveSemaphore) acquire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit || p.bound > 0 && p.taken >= p.bound {
		return false
	}
	p.taken++
	return true
}

// release gives a slot back. Only completed webhooks count: a failed one may have waited in vain for something else.
func (p *adaptiveSemaphore) release(done bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if done {
		p.count(time.Now(), took > tooLate)
	}
}

// count records an answer, and moves the limit after each span. The caller holds mu.
func (p *adaptiveSemaphore) count(now time.Time, late bool) {
	if watched := now.Sub(p.since); watched >= span {
		p.move(watched)
		p.since, p.done, p.lates = now, 0, 0
	}
	p.done++
	if late {
		p.lates++
	}
}

// move sets the limit according to the answers of the time observed. The caller holds mu.
func (p *adaptiveSemaphore) move(watched time.Duration) {
	switch {
	case watched > 4*span: // nothing completed in between
	case 2*p.lates > p.done:
		p.bound = min(max(p.done*int64(tooLate)/int64(watched), fewest), p.limit)
	case p.bound >= p.limit-p.bound/4:
		p.bound = 0
	default:
		p.bound += p.bound / 4
	}
}

// inFlight returns how many slots are taken.
func (p *adaptiveSemaphore) inFlight() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
