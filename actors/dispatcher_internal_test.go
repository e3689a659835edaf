package actors

import (
	"testing"
	"testing/synctest"
)

func TestTheDispatcherKeepsAFewWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done, release := make(chan struct{}), make(chan struct{})
		d, ran := newDispatcher(done), make(chan struct{}, 3*idleWorkers)
		for range 2 * idleWorkers {
			d.Schedule(func() { <-release; ran <- struct{}{} })
		}
		close(release)
		synctest.Wait()
		if n := d.idle.Load(); n != idleWorkers || len(ran) != 2*idleWorkers {
			t.Errorf("%d jobs ran, and %d workers are idle", len(ran), n)
		}
		d.Schedule(func() { ran <- struct{}{} })
		synctest.Wait()
		if n := d.idle.Load(); n != idleWorkers || len(ran) != 2*idleWorkers+1 {
			t.Errorf("with idle workers, %d jobs ran, and %d workers are idle", len(ran), n)
		}
		close(done) // otherwise the idle workers would make the test fail
	})
}
