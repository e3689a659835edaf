package sim_test

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/rollcallhq/rollcall/testing/sim"
)

// plan defines which seeds a simulation runs.
type plan struct {
	first, count uint64
	until        time.Time // no seed begins later; zero means no limit
	fixed        bool      // the seeds of every test run, in which every kind of fault must occur
	found        []uint64  // more of them: seeds that once found a fault
}

// size returns the number of seeds, and seed the one of that number from 0 on.
func (p plan) size() uint64 { return p.count + uint64(len(p.found)) }

func (p plan) seed(n uint64) uint64 {
	if n < p.count {
		return p.first + n
	}
	return p.found[n-p.count]
}

// planOf reads the plan. -sim.seed selects one seed. ROLLCALL_SIM_FIRST is the first seed, 1 by default. ROLLCALL_SIM_SEEDS is
// the number of seeds, of which a simulation runs one in oneIn. ROLLCALL_SIM_TIME is how long new seeds are begun; each
// simulation gets half of it. By default the seeds that once found a fault run too.
func planOf(t *testing.T, byDefault, oneIn uint64, found ...uint64) plan {
	t.Helper()
	p := plan{first: 1, count: byDefault, fixed: true}
	number := func(name string, to *uint64) (given bool) {
		text := os.Getenv(name)
		if text == "" {
			return false
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			t.Fatalf("%s is %q: give a number from 1 on", name, text)
		}
		*to, p.fixed = n, false
		return true
	}
	number("ROLLCALL_SIM_FIRST", &p.first)
	if text := os.Getenv("ROLLCALL_SIM_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("ROLLCALL_SIM_TIME is %q: give a duration such as 3m", text)
		}
		p.count, p.until, p.fixed = 1<<62, time.Now().Add(d/2), false
	}
	if seeds := uint64(0); number("ROLLCALL_SIM_SEEDS", &seeds) {
		p.count = (seeds + oneIn - 1) / oneIn
	}
	if *seed != 0 {
		p = plan{first: *seed, count: 1}
	}
	if p.fixed {
		p.found = found
	}
	return p
}

// each runs the seeds of a plan, one per processor at a time, and then reports which they were, how much time was simulated and
// which faults occurred. Each of kinds must occur in the fixed seeds; otherwise an unused fault would go unnoticed.
func (p plan) each(t *testing.T, kinds []string, run func(t *testing.T, seed uint64, faults *Faults) (simulated time.Duration)) {
	var next, simulated atomic.Int64
	sum := &tally{seeds: map[string]int{}, times: map[string]int{}}
	one := func(t *testing.T, seed uint64) {
		faults := &Faults{}
		defer func() {
			sum.add(faults.Counts())
			if t.Failed() || p.count == 1 {
				t.Logf("faults: %s", faults)
			}
			if t.Failed() {
				t.Logf("again with: make sim SEED=%d", seed)
			}
		}()
		simulated.Add(int64(run(t, seed, faults)))
	}
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for {
					n := uint64(next.Add(1)) - 1
					if n >= p.size() || !p.until.IsZero() && time.Now().After(p.until) {
						next.Add(-1)
						return
					}
					s := p.seed(n)
					t.Run(fmt.Sprint(s), func(t *testing.T) { one(t, s) })
				}
			})
		}
	})
	t.Logf("%d seeds from %d on, %.1f simulated hours", next.Load(), p.first, time.Duration(simulated.Load()).Hours())
	t.Logf("faults of all seeds: %s", sum)
	for _, kind := range kinds {
		if p.fixed && sum.seeds[kind] == 0 {
			t.Errorf("no seed had the fault %q", kind)
		}
	}
}

// endsWithin ends the process, with the stacks of all goroutines, if a simulation runs longer than limit in real time: it then
// waits for something that never comes, which no test's deadline detects. Call the returned function at the end.
func endsWithin(seed uint64, limit time.Duration) (ended func()) {
	late := time.AfterFunc(limit, func() { panic(fmt.Sprintf("seed %d does not end: again with: make sim SEED=%d", seed, seed)) })
	return func() { late.Stop() }
}

// tally sums the faults of all seeds.
type tally struct {
	mu           sync.Mutex
	seeds, times map[string]int // by kind
}

func (a *tally) add(counts map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind, n := range counts {
		a.seeds[kind]++
		a.times[kind] += n
	}
}

// String lists the kinds, each with its count and the number of seeds in which it occurred.
func (a *tally) String() string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(a.seeds)) {
		list = append(list, fmt.Sprintf("%s ×%d in %d seeds", kind, a.times[kind], a.seeds[kind]))
	}
	return strings.Join(list, "; ")
}
