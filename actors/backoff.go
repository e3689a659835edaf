package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// backoff is how long a crashed room waits before it restarts: from first to limit, doubling with each crash within window.
// A room is never given up.
type backoff struct {
	first, limit, window time.Duration
}

// next records one more crash and returns the delay after it.
func (b backoff) next(rs *actor.RestartStatistics) time.Duration {
	if rs.NumberOfFailures(b.window) == 0 {
		rs.Reset()
	}
	delay := b.delay(rs.FailureCount())
	rs.Fail()
	return delay
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
