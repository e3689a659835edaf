package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// backoff restarts a crashed room after a delay that doubles from first to limit with each crash within window. The
// room's mailbox waits meanwhile; the restarted room claims and reads before it goes on. It never gives a room up.
type backoff struct {
	first, limit, window time.Duration
}

// HandleFailure is protoactor's port for supervision.
func (b backoff) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, _, _ any) {
	if rs.NumberOfFailures(b.window) == 0 {
		rs.Reset()
	}
	delay := b.delay(rs.FailureCount())
	rs.Fail()
	time.AfterFunc(delay, func() { s.RestartChildren(child) })
}

func (b backoff) delay(failures int) time.Duration {
	delay := b.first
	for range failures {
		if delay *= 2; delay >= b.limit {
			return b.limit
		}
	}
	return delay
}
