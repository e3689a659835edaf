package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

const (
	// overloadCPUs is the leader's part of a processor during the overload. The leader and nothing else must be the bottleneck: with
	// 0.3, this test, the other nodes and Redis took the rest of two processors, and the leader did half of what it did while its
	// capacity was measured.
	overloadCPUs = 0.15
	// overloadRooms is the number of rooms that only the overload uses. overloadSenders and measureFor define how the leader's
	// capacity is measured.
	overloadRooms   = 200
	overloadSenders = 128
	measureFor      = 6 * time.Second
	// overloadMemory is the most memory that a node may use: the 128 MiB of a small heap, and some 30 KiB for each of 4,096
	// connections.
	overloadMemory = 320 << 20
	// overloadTimes is how many times its capacity the leader gets. A refusal costs up to half as much as a webhook here, nearly all of it in
	// the kernel, so with twice the capacity a node could do nothing but refuse.
	overloadTimes = 1.5
	// overloadShare is the part of its capacity that it must keep: with refusals at half the cost of a webhook, half of it could be kept.
	overloadShare = 0.3
	// refuseWithin is how soon a webhook that cannot be processed must be refused. takeAgain is how soon all must be accepted
	// again.
	refuseWithin = 2 * time.Second
	takeAgain    = 20 * time.Second
)

func overloads() []Nemesis {
	return []Nemesis{{Name: "overload", Kind: "overload", Alone: true, Do: overload,
		Doc: "the leader has 0.15 of a processor and gets 1.5 times as many webhooks as it can process, for the hold"}}
}

// overload measures the leader's capacity, sends more than that, and checks the result: the leader answers what it can, refuses
// the rest quickly and with Retry-After, keeps its memory bounded and its leadership, and accepts everything again afterwards.
func overload(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	s, err := w.leader(ctx)
	if err != nil {
		return "", nil, err
	}
	load := w.makeLoad(s)
	heal := func(ctx context.Context) error {
		for _, room := range load.Rooms {
			w.fake.DeleteRoom(room.Name)
		}
		return w.project.LimitCPU(ctx, s, 2)
	}
	if err := errors.Join(w.awaitMail(ctx), w.project.LimitCPU(ctx, s, overloadCPUs)); err != nil {
		return "", heal, err
	}
	capacity := load.Closed(ctx, overloadSenders, measureFor)
	before, err := w.leading(ctx)
	if err != nil {
		return "", heal, err
	}
	rate, idle := overloadTimes*capacity.Rate(), idleTime()
	over := load.Open(ctx, rate, w.opts.Hold)
	for try := 0; try < 2 && over.Refused == 0; try++ { // a busy machine gave it less while its capacity was measured
		rate *= 2
		over = load.Open(ctx, rate, w.opts.Hold)
	}
	idle = idleTime() - idle
	after, err := w.leading(ctx)
	if err != nil {
		w.violate(0, "nobody leads after the overload: %v", err)
	}
	peak, err := w.peakMemory(ctx, s)
	what := fmt.Sprintf("%s takes %.0f a second; of %.0f a second: %v; %d MB at most; the machine's processors had nothing to do for %v", nodeID(s), capacity.Rate(), rate,
		over, peak>>20, idle)
	w.judgeOverload(capacity, over, peak)
	if before.Leader != after.Leader || before.Term != after.Term {
		w.violate(0, "the leader changed from %s in term %d to %s in term %d", before.Leader, before.Term, after.Leader, after.Term)
	}
	soon, cancel := context.WithTimeout(ctx, takeAgain)
	defer cancel()
	if err := load.Finish(soon, overloadSenders); err != nil {
		w.violate(0, "%v after the overload not every webhook was answered with 200: %v", takeAgain, err)
	}
	return what, heal, err
}

// makeLoad returns a load for one node, in separate rooms, whose participants the judges know.
func (w *World) makeLoad(service string) *clusterkit.Load {
	load := clusterkit.MakeLoad(w.fake, compose.Key, compose.Secret, overloadRooms)
	load.URL = w.url(service) + "/api/livekit-webhook"
	load.Transport = w.ledger
	load.Emitted = func(e fakelivekit.Event) { _ = w.truth.fate(e) }
	return load
}

// leading returns the newest sample that has a leader.
func (w *World) leading(ctx context.Context) (s Sample, err error) {
	err = await(10*time.Second, ctx.Done(), func() error {
		if s = w.watch.last(); s.Leader == "" {
			return errors.New("nobody says that they lead")
		}
		return nil
	})
	return s, err
}

func (w *World) peakMemory(ctx context.Context, service string) (int64, error) {
	pid, err := w.project.PID(ctx, service)
	if err != nil {
		return 0, err
	}
	return clusterkit.PeakMemory(pid)
}

// idleTime returns for how long the machine's processors had nothing to do so far, all together, or 0 if the system does not tell. An
// overload of a machine without any is one of the whole machine, and not of a node.
func idleTime() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle int64 // in hundredths of a second
	if _, err := fmt.Sscanf(string(stat), "cpu %d %d %d %d", &user, &nice, &system, &idle); err != nil {
		return 0
	}
	return time.Duration(idle) * 10 * time.Millisecond
}

func (w *World) judgeOverload(capacity, over clusterkit.Result, peak int64) {
	for text, bad := range map[string]bool{
		"it was not too much: nothing was refused":     over.Refused == 0,
		"refusals without Retry-After":                 over.Unsaid > 0,
		"attempts that ended neither with 200 nor 503": over.Failed > 0,
		"what cannot be done is refused too late":      over.RefusedP99 > refuseWithin,
		"less is done than the node can do":            over.Rate() < overloadShare*capacity.Rate(),
		"the memory is not bounded":                    peak > overloadMemory,
	} {
		if bad {
			w.violate(0, "%s: %v, of %.0f a second that it takes, with %d MB", text, over, capacity.Rate(), peak>>20)
		}
	}
}
