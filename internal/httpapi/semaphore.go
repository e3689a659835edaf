package httpapi

import (
	"runtime"
	"sync"
	"time"
)

// How the semaphore distinguishes an overloaded node from one that waits for something. If Redis or an owner hangs for a
// while, either nothing completes or only some webhooks are delayed. Too much work delays nearly everything, and work still
// completes. If the processor is what there is too little of, goroutines wait for it, which shows at once: each webhook needs
// about ten turns at the processor, and what the cluster's leader does needs turns as well.
const (
	// tooLate is the time after which an answer counts as late. A webhook has Limits.Deliver, 5 s, in all.
	tooLate = time.Second
	// span is how long answers are observed before the limit moves.
	span = 500 * time.Millisecond
	// crowdedWait is the wait for a processor that is too long. A leader that waits for ten times as long loses its lead.
	crowdedWait = 25 * time.Millisecond
	// crowdedEach is how many goroutines for each processor must be waiting as well. With fewer, other programs have the processor,
	// and to refuse webhooks would not help.
	crowdedEach = 8
	// sampleEvery is how often both are measured, and crowdedSamples how many measurements more must have been so than not. To wait
	// for more of them costs connections: at 3,000 webhooks a second, 0.3 s fill the table of connections.
	sampleEvery    = 100 * time.Millisecond
	crowdedSamples = 1
	// fewestEach, for each processor, is the value below which the limit does not fall.
	fewestEach = 64
)

// adaptiveSemaphore limits concurrent webhooks. A webhook that finds no free slot is refused at once; none queues. With more
// in flight than the node can complete in time, all would run out of time together and nothing would complete. So while most
// answers are late, the limit is what the node completes within tooLate, and while goroutines wait for a processor, it falls
// below what is in flight. It rises again while neither is so.
type adaptiveSemaphore struct {
	limit int64 // upper limit
	// queue returns how long goroutines waited for a processor since it was last called, and how many wait. Nil means that none did.
	queue func() (wait time.Duration, waiting int)

	mu          sync.Mutex
	taken       int64
	bound       int64     // the current limit; 0 for limit
	since       time.Time // time of the first answer that counts
	done, lates int64     // answers since then
	sampled     time.Time // time of the last call of queue
	crowding    int       // measurements with too long a queue, less those without, up to twice crowdedSamples
}

// acquire takes a slot and reports whether there was one.
func (p *adaptiveSemaphore) acquire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noneFree() {
		return false
	}
	p.taken++
	return true
}

// full reports whether there is no slot now.
func (p *adaptiveSemaphore) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noneFree()
}

// isCrowded reports whether goroutines wait too long for a processor.
func (p *adaptiveSemaphore) isCrowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sample()
	return p.crowded()
}

// crowded is isCrowded for a caller who holds mu, as of the last measurement.
func (p *adaptiveSemaphore) crowded() bool { return p.crowding >= crowdedSamples }

// noneFree is full for a caller who holds mu.
func (p *adaptiveSemaphore) noneFree() bool {
	p.sample()
	return p.taken >= p.limit || p.bound > 0 && p.taken >= p.bound
}

// sample measures the queue for a processor if it is time, and lowers the limit if it is too long. The caller holds mu.
func (p *adaptiveSemaphore) sample() {
	now := time.Now()
	if p.queue == nil || now.Sub(p.sampled) < sampleEvery {
		return
	}
	p.sampled = now
	if wait, waiting := p.queue(); wait > crowdedWait && waiting >= crowdedEach*runtime.GOMAXPROCS(0) {
		p.crowding = min(p.crowding+1, 2*crowdedSamples)
	} else {
		p.crowding = max(p.crowding-1, 0)
	}
	if p.crowded() {
		p.bound = min(max(p.taken-p.taken/4, fewest()), p.limit)
	}
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
		p.bound = min(max(p.done*int64(tooLate)/int64(watched), fewest()), p.limit)
	case p.crowded():
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

// fewest is the value below which the limit does not fall.
func fewest() int64 { return int64(fewestEach * runtime.GOMAXPROCS(0)) }
