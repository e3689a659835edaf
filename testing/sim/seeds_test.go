package sim_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// plan says which seeds a simulation runs.
type plan struct {
	first, count uint64
	until        time.Time // no seed begins later; zero for no limit
}

// planOf reads the plan: -sim.seed is one seed. ROLLCALL_SIM_FIRST is the first, 1 by default, ROLLCALL_SIM_SEEDS how many there are, and
// ROLLCALL_SIM_TIME how long seeds are begun.
func planOf(t *testing.T, byDefault uint64) plan {
	t.Helper()
	p := plan{first: 1, count: byDefault}
	number := func(name string, to *uint64) {
		text := os.Getenv(name)
		if text == "" {
			return
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			t.Fatalf("%s is %q: give a number from 1 on", name, text)
		}
		*to = n
	}
	number("ROLLCALL_SIM_FIRST", &p.first)
	if text := os.Getenv("ROLLCALL_SIM_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("ROLLCALL_SIM_TIME is %q: give a duration such as 3m", text)
		}
		p.count, p.until = 1<<62, time.Now().Add(d)
	}
	number("ROLLCALL_SIM_SEEDS", &p.count)
	if *seed != 0 {
		p = plan{first: *seed, count: 1}
	}
	return p
}

// each runs the seeds of a plan, one on each processor at a time, and then tells which they were and how much time was simulated.
func (p plan) each(t *testing.T, run func(t *testing.T, seed uint64) (simulated time.Duration)) {
	var next, simulated atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for {
					n := uint64(next.Add(1)) - 1
					if n >= p.count || !p.until.IsZero() && time.Now().After(p.until) {
						next.Add(-1)
						return
					}
					s := p.first + n
					t.Run(fmt.Sprint(s), func(t *testing.T) {
						defer func() {
							if t.Failed() {
								t.Logf("again with: make sim SEED=%d", s)
							}
						}()
						simulated.Add(int64(run(t, s)))
					})
				}
			})
		}
	})
	t.Logf("%d seeds from %d on, %.1f simulated hours", next.Load(), p.first, time.Duration(simulated.Load()).Hours())
}
