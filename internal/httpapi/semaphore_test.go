package httpapi

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serveFor has n webhooks arrive each 10 ms for that time, at a node that completes one each 10 ms, in order. It returns how
// many completed within their 5 s, and the longest time that one took.
func serveFor(p *adaptiveSemaphore, n int, length time.Duration) (done int, longest time.Duration) {
	var queue []time.Time
	for begun := time.Now(); time.Since(begun) < length; time.Sleep(10 * time.Millisecond) {
		for range n {
			if p.acquire() {
				queue = append(queue, time.Now())
			}
		}
		if len(queue) == 0 {
			continue
		}
		took := time.Since(queue[0])
		queue = queue[1:]
		inTime := took < 5*time.Second // a late one has cost its work nevertheless
		p.release(inTime, took)
		if inTime {
			done, longest = done+1, max(longest, took)
		}
	}
	for range queue {
		p.release(false, 5*time.Second)
	}
	return done, longest
}

// TestTooMuchWork checks that a node with eight times the work that it can do continues to complete what it can, promptly,
// and accepts everything again afterwards.
func TestTooMuchWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &adaptiveSemaphore{limit: 4096}
		if _, longest := serveFor(p, 1, 10*time.Second); longest > 0 || p.bound != 0 {
			t.Errorf("with what it can do: %v, bound %d", longest, p.bound)
		}
		done, longest := serveFor(p, 8, 60*time.Second)
		if done < 5000 {
			t.Errorf("with too much it does %d of 6,000, the longest takes %v", done, longest)
		}
		if serveFor(p, 1, 20*time.Second); p.bound != 0 || p.inFlight() != 0 {
			t.Errorf("afterwards: bound %d, %d in flight", p.bound, p.inFlight())
		}
	})
}

// TestAHitchIsNotTooMuchWork checks that no slot is taken away if nothing completes for a while, or if only some webhooks
// wait.
func TestAHitchIsNotTooMuchWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &adaptiveSemaphore{limit: 4096}
		serveFor(p, 1, 2*time.Second)
		for range 1000 {
			p.acquire()
		}
		time.Sleep(4 * time.Second)
		for range 1000 { // all at once, when Redis is back
			p.release(true, 4*time.Second)
		}
		if serveFor(p, 1, time.Second); p.bound != 0 && p.bound < 1000 {
			t.Errorf("after a hitch the bound is %d", p.bound)
		}
		serveFor(p, 1, 10*time.Second)
		for i := range 900 { // one of three owners hangs
			p.acquire()
			p.release(true, time.Duration(i%3/2)*2*time.Second)
			time.Sleep(4 * time.Millisecond)
		}
		if p.bound != 0 {
			t.Errorf("with one owner that hangs the bound is %d", p.bound)
		}
	})
}

// TestWaitingForAProcessorRefuses checks that the limit falls when goroutines wait too long for a processor, though no answer is late
// yet, that it does not fall below a floor, and that it rises again afterwards. A wait that other programs
// cause changes nothing.
func TestWaitingForAProcessorRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait, waiting := time.Duration(0), 0
		p := &adaptiveSemaphore{limit: 4096, queue: func() (time.Duration, int) { return wait, waiting }}
		for range 2000 {
			if !p.acquire() {
				t.Fatal("a slot was refused while no goroutine waited")
			}
		}
		sample := func(times int) {
			for range times {
				time.Sleep(sampleEvery)
				p.full()
			}
		}
		wait = 2 * crowdedWait
		if sample(20); p.bound != 0 || p.isCrowded() {
			t.Errorf("with a wait for other programs the limit is %d, want none", p.bound)
		}
		waiting = 1000
		if sample(crowdedSamples); p.acquire() || p.bound != 1500 || !p.isCrowded() {
			t.Errorf("with 2,000 in flight the limit is %d, want three quarters", p.bound)
		}
		for range 2000 {
			p.release(true, 100*time.Millisecond)
		}
		if serveFor(p, 8, 5*time.Second); p.bound != fewest() {
			t.Errorf("the limit is %d, want the floor %d", p.bound, fewest())
		}
		wait, waiting = 0, 0
		if serveFor(p, 1, 20*time.Second); p.bound != 0 {
			t.Errorf("afterwards the limit is %d, want none", p.bound)
		}
	})
}

// TestProcessorQueue keeps all processors busy with more goroutines than there are processors.
func TestProcessorQueue(t *testing.T) {
	queue := processorQueue()
	queue()
	end := time.Now().Add(500 * time.Millisecond)
	most := 0
	var all sync.WaitGroup
	for range 50 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Now().Before(end) {
				for begun := time.Now(); time.Since(begun) < 2*time.Millisecond; {
				}
				runtime.Gosched()
			}
		})
	}
	for time.Now().Before(end) {
		time.Sleep(20 * time.Millisecond)
		_, waiting := processorQueue()()
		most = max(most, waiting)
	}
	all.Wait()
	if got, _ := queue(); got < crowdedWait || got > 10*time.Second || most < crowdedEach*runtime.GOMAXPROCS(0) {
		t.Errorf("with 50 busy goroutines for each processor the wait is %v, and at most %d wait", got, most)
	}
}
