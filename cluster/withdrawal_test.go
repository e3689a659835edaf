package cluster

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// pattern returns a withdrawal after these health checks, one each healthEvery: F is a failed check, any other letter a successful one.
func pattern(looks string) *withdrawal {
	w := &withdrawal{}
	for i, c := range looks {
		w.add(healthCheck{at: epochStart.Add(time.Duration(i) * healthEvery), failing: failed(c == 'F')})
	}
	return w
}

var epochStart = time.Unix(1_800_000_000, 0)

func failed(does bool) Failing {
	if does {
		return Failing{"": errBroken}
	}
	return Failing{}
}

func TestWhatFailsLastingly(t *testing.T) {
	for looks, want := range map[string]bool{
		"":                         false,
		"FFF":                      false, // a process that has just started
		"............FFFF":         false, // 1.5 s
		"............FFFFF":        true,
		"FFFFF":                    true,
		"FFFFF.":                   false,
		"FF.FF.FF.FF.FF.FF.FF.FF.": false,
		"FFFF.FFFF.FFFF.FFFF.":     true, // three quarters of the checks in a whole window
		"F.F.F.F.F.F.F.F.F.F.F.F.": false,
		"FFFFFFFFFFFF............": false,
	} {
		if got := pattern(looks).lasting(); (got != nil) != want {
			t.Errorf("%q: %v", looks, got)
		}
	}
}

// Only a node that can do everything that this one can, and more, may take its rooms. Otherwise two nodes could both withdraw for each other.
func TestABetterNode(t *testing.T) {
	one, two := Failing{"1": errBroken}, Failing{"1": errBroken, "2": errBroken}
	for _, c := range []struct {
		what string
		r    report
		here Failing
		want bool
	}{
		{"all goes well there", report{Checks: 12}, one, true},
		{"too few checks", report{Checks: leastChecks - 1}, one, false},
		{"the same fails there", report{Checks: 12, Failed: map[string]int{"1": 12}}, one, false},
		{"one check has failed there: it may be slow for all nodes", report{Checks: 12, Failed: map[string]int{"1": 1}}, one, false},
		{"something else fails there", report{Checks: 12, Failed: map[string]int{"2": 12}}, one, false},
		{"less fails there", report{Checks: 12, Failed: map[string]int{"2": 12}}, two, true},
		{"as much fails there", report{Checks: 12, Failed: map[string]int{"1": 12, "2": 12}}, two, false},
	} {
		if got := c.r.betterThan(c.here); got != c.want {
			t.Errorf("%s: better: %v", c.what, got)
		}
	}
}

// A node that withdraws again and again stays withdrawn for longer each time. A long healthy time resets that.
func TestTheWayBackGrowsLonger(t *testing.T) {
	w, now := &withdrawal{}, epochStart
	next := func(does bool) {
		now = now.Add(healthEvery)
		w.add(healthCheck{at: now, failing: failed(does)})
	}
	away := func() time.Duration {
		next(true)
		w.withdraw(now)
		begun := now
		next(true) // it is not healthy yet
		for next(false); !w.mayReturn(now); next(false) {
			if !w.withdrawn() {
				t.Fatal("it is back, and mayReturn did not say so")
			}
		}
		return now.Sub(begun)
	}
	last := time.Duration(0)
	for i := range 8 {
		took := away()
		if i == 0 && (took < returnAfter || took > returnAfter+2*time.Second) || took < last || took > lastReturn+2*time.Second {
			t.Errorf("withdrawal %d lasted %v, after one of %v", i, took, last)
		}
		last = took
	}
	if last < lastReturn {
		t.Errorf("the last lasted %v", last)
	}
	for range int(steadyAfter / healthEvery) {
		next(false)
	}
	if took := away(); took > returnAfter+2*time.Second {
		t.Errorf("after a good time it lasted %v", took)
	}
}

// A failure while a node is withdrawn starts its wait from the beginning.
func TestOneFailureKeepsANodeAway(t *testing.T) {
	w := pattern("FFFFF")
	now := epochStart.Add(2 * time.Second)
	w.withdraw(now)
	for i := range 100 {
		now = now.Add(healthEvery)
		w.add(healthCheck{at: now, failing: failed(i%8 == 0)})
		if w.mayReturn(now) {
			t.Fatalf("it is back after %v", now.Sub(epochStart))
		}
	}
}

// If health checks fail at random, on all nodes alike, almost no node withdraws, however many checks fail.
func TestWhereAllAreSlowNobodyWithdraws(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, share := range []float64{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1} {
		nodes := []*withdrawal{{}, {}, {}}
		moves := 0
		for now := epochStart; now.Before(epochStart.Add(time.Hour)); now = now.Add(healthEvery) {
			for _, w := range nodes {
				w.add(healthCheck{at: now, failing: failed(random.Float64() < share)})
				w.mayReturn(now)
				lasting := w.lasting()
				for _, other := range nodes {
					if lasting != nil && !w.withdrawn() && other != w && !other.withdrawn() && other.report(now).betterThan(lasting) {
						w.withdraw(now)
						moves++
					}
				}
			}
		}
		if moves > 2 {
			t.Errorf("with %v of all checks failing, %d withdrawals in an hour", share, moves)
		}
	}
}

// A process that was paused knows nothing about the time of the pause.
func TestAReportHasNoOldLooks(t *testing.T) {
	w := pattern("........")
	if r := w.report(epochStart.Add(4 * time.Second)); r.Checks != 8 {
		t.Errorf("%+v", r)
	}
	if r := w.report(epochStart.Add(time.Minute)); r.Checks != 0 || r.betterThan(Failing{"": errBroken}) {
		t.Errorf("%+v", r)
	}
}

func TestFailing(t *testing.T) {
	other := errors.New("another")
	f := Failing{"2": other, "1": errBroken}
	if err := error(f); !errors.Is(err, errBroken) || !errors.Is(err, other) || err.Error() != errBroken.Error()+"; another" {
		t.Error(err)
	}
	if got := failingOf(errBroken); !errors.Is(got[""], errBroken) || len(failingOf(nil)) != 0 || len(failingOf(f)) != 2 {
		t.Errorf("%v", got)
	}
}
