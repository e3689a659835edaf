package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/testing/compose"
)

const (
	// leadIn is how long everything runs without a fault before each nemesis, lull how long the traffic continues after it.
	leadIn = 3 * time.Second
	lull   = 2 * time.Second
	// injectWithin limits a nemesis' Do, and again its heal.
	injectWithin = 3 * time.Minute
	// patience is how long Redis may take to be right again before the run continues anyway.
	patience = 90 * time.Second
)

// Run creates a world, runs the nemeses one after another, judges all that was seen, and writes the report. The report's
// Violations are what the test must fail for. An error means that the run could not be completed.
func Run(ctx context.Context, t testing.TB, engine *compose.Engine, o Options) (*Report, error) {
	t.Helper()
	o = o.withDefaults()
	w, err := NewWorld(ctx, t, engine, o)
	if err != nil {
		return w.report, fmt.Errorf("make a world: %w", err)
	}
	chosen, err := w.choose()
	if err != nil {
		return w.report, err
	}
	dice := rand.New(rand.NewPCG(o.Seed, 0x63686173))
	runs, stop := context.WithCancel(ctx)
	defer stop()
	err = w.converge(runs, &Fault{}, time.Now())
	deadline := time.Now().Add(o.Duration)
	for round := 0; err == nil && (round == 0 || time.Now().Before(deadline)); round++ {
		dice.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		for _, n := range chosen {
			if round > 0 && time.Now().After(deadline) {
				break
			}
			if err = w.face(runs, n, rand.New(rand.NewPCG(o.Seed, dice.Uint64()))); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = w.verify(ctx)
	}
	w.finish(ctx)
	return w.report, errors.Join(err, w.report.write(o.Dir, w.logs))
}

// face runs one nemesis against the cluster: traffic without a fault, the fault, the heal, some more traffic, and then no
// traffic, so that Redis must become equal to LiveKit within the promised number of sync cycles.
func (w *World) face(ctx context.Context, n Nemesis, dice *rand.Rand) error {
	traffic, hush := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.traffic.Run(traffic) })
	defer running.Wait()
	defer hush()
	pass(ctx, leadIn)
	if n.Forgets {
		if err := w.closeSegment(ctx); err != nil {
			return err
		}
	}
	mark := time.Now()
	f := w.report.begin(n.Name)
	if err := w.strike(ctx, n, f, dice); err != nil {
		f.Error = err.Error()
		w.note("%s: %v", n.Name, err)
		w.violate(0, "the nemesis could not do its work: %v", err)
	}
	if n.Forgets {
		w.openSegment()
	}
	healed := w.report.heal(f)
	pass(ctx, lull)
	hush()
	running.Wait()
	err := w.converge(ctx, f, healed)
	w.sumUp(n, f, mark)
	return err
}

// strike injects the fault, waits, and undoes it. Afterwards converge waits until all nodes are ready.
func (w *World) strike(ctx context.Context, n Nemesis, f *Fault, dice *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, injectWithin)
	defer cancel()
	what, heal, err := n.Do(ctx, w, dice)
	f.What = what
	w.note("%s: %s", n.Name, what)
	if err == nil && n.Lasts {
		pass(ctx, w.opts.Hold)
	}
	// The fault is undone also after an error, and after the end of the run.
	healing, done := context.WithTimeout(context.WithoutCancel(ctx), injectWithin)
	defer done()
	err = errors.Join(err, heal.run(healing))
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.busy)
	return err
}

// converge waits until all nodes are ready and Redis equals LiveKit, and judges how many sync cycles that took. Nobody comes or
// goes in the meantime; only webhooks in flight still arrive.
func (w *World) converge(ctx context.Context, f *Fault, healed time.Time) error {
	quiet := time.Now()
	end := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var d difference
	for {
		if f.Whole == 0 && len(w.balancer.Ready()) == len(w.running()) {
			f.Whole = w.report.since(time.Now())
		}
		read, cancel := context.WithTimeout(ctx, time.Second)
		now, err := w.compare(read, false)
		cancel()
		if err == nil {
			d = now
		}
		cycles := w.watch.after(healed)
		f.Held = f.Held || slices.ContainsFunc(cycles, held)
		f.Cycles = len(good(cycles))
		if err == nil {
			w.checkCycles(f, healed, d)
		}
		if err == nil && len(d.wrong) == 0 && f.Right == 0 {
			f.Right = w.report.since(d.at)
		}
		if f.Right != 0 && f.Whole != 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			w.violate(7, "%v after the heal %d of %d nodes are ready, and %d rooms are wrong, such as: %s", time.Since(quiet).Round(time.Second),
				len(w.balancer.Ready()), len(w.running()), len(d.wrong), example(d))
			return nil
		}
	}
}

// pass waits for a time, or until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	_ = wait.For(ctx, d)
}

// sumUp records the results of a fault. Webhooks in flight may still be answered, so finish counts them again. The webhooks of
// the next fault's lead-in belong to neither fault, because the next one may begin while they are in flight.
func (w *World) sumUp(n Nemesis, f *Fault, mark time.Time) {
	f.mark, f.end, f.gentle = mark, time.Now(), n.Gentle
	f.Webhooks = mail(w.ledger.All(), f.mark, f.end)
	f.Leaderless = w.leaderless(f.From, w.report.since(time.Now()))
	w.note("%s: right %.1f s after the heal (%d cycles, held %v), without a leader for %.1f s; webhooks: %d, tried again %d, unanswered %d, longest %.1f s %v",
		n.Name, f.Converged(), f.Cycles, f.Held, f.Leaderless, f.Webhooks.Sent, f.Webhooks.Retried, f.Webhooks.Lost, f.Webhooks.Longest, f.Webhooks.Statuses)
}
