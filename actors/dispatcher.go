package actors

import "sync/atomic"

// idleWorkers is how many goroutines a dispatcher keeps when there is no work.
const idleWorkers = 256

// dispatcher runs the mailboxes of a host's actors. It keeps goroutines for later work, because a new one for each message would first have to
// grow its stack, which costs more than the message itself.
type dispatcher struct {
	work chan func() // unbuffered: only an idle worker receives
	idle atomic.Int64
	done <-chan struct{} // ends idle workers
}

func newDispatcher(done <-chan struct{}) *dispatcher {
	return &dispatcher{work: make(chan func()), done: done}
}

// Schedule implements actor.Dispatcher. It never waits.
func (d *dispatcher) Schedule(run func()) {
	select {
	case d.work <- run:
	default:
		go d.worker(run)
	}
}

// Throughput implements actor.Dispatcher: the most messages that an actor handles before it gives way to others.
func (d *dispatcher) Throughput() int { return 300 }

func (d *dispatcher) worker(run func()) {
	for {
		run()
		if d.idle.Add(1) > idleWorkers {
			d.idle.Add(-1)
			return
		}
		select {
		case run = <-d.work:
			d.idle.Add(-1)
		case <-d.done:
			return
		}
	}
}
