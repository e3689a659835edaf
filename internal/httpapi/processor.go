package httpapi

import (
	gometrics "runtime/metrics"
	"time"
)

// processorQueue returns a function that returns how long one of ten goroutines waited at least, after it could have run, until
// it ran, since the function was last called, and how many wait now. That is what Go's scheduler measures.
func processorQueue() func() (wait time.Duration, waiting int) {
	samples := []gometrics.Sample{{Name: "/sched/latencies:seconds"}, {Name: "/sched/goroutines/runnable:goroutines"}}
	var before []uint64
	return func() (time.Duration, int) {
		gometrics.Read(samples)
		waits, waiting := samples[0].Value.Float64Histogram(), int(samples[1].Value.Uint64())
		after := waits.Counts
		if before == nil {
			before = make([]uint64, len(after))
		}
		var all, longer uint64
		for i := range after {
			after[i], before[i] = after[i]-before[i], after[i]
			all += after[i]
		}
		for i := len(after) - 1; i > 0; i-- { // the first bucket has no lower bound
			if longer += after[i]; longer*10 > all {
				return time.Duration(waits.Buckets[i] * float64(time.Second)), waiting
			}
		}
		return 0, waiting
	}
}
