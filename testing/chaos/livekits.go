package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

func livekits() []Nemesis {
	return []Nemesis{
		{Name: "pause-livekit", Kind: "livekit", Lasts: true, Doc: "LiveKit is frozen: its API does not answer and no webhook goes out", Do: pauseLiveKit},
		{Name: "restart-livekit", Kind: "livekit", Doc: "LiveKit dies, with all rooms and all queued webhooks, and comes back empty 3 s later", Do: restartLiveKit},
		{Name: "livekit-empty", Kind: "livekit", Lasts: true, Doc: "LiveKit's lists are empty for one sync cycle: nobody may be removed for it", Do: emptyLiveKit},
		{Name: "livekit-errors", Kind: "livekit", Lasts: true, Doc: "one in three of LiveKit's answers is an error, is a second late, or never comes", Do: failingLiveKit},
		{Name: "livekit-429", Kind: "livekit", Lasts: true, Do: limitLiveKit,
			Doc: "LiveKit answers 429 (resource_exhausted) to more than 20 calls a second"},
		{Name: "livekit-lag", Kind: "livekit", Lasts: true, Do: lagLiveKit,
			Doc: "LiveKit's lists are old, each by a time from 0 to 8 s: a participant who joined is not shown yet, one who left still is"},
		{Name: "webhooks", Kind: "webhooks", Lasts: true, Do: mangleWebhooks,
			Doc: "webhooks are dropped (10 %), repeated (15 %), delayed up to 1 s (10 %) and overtaken by others by up to 8 s (15 %)"},
	}
}

func pauseLiveKit(_ context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	w.gate.close()
	return "pause LiveKit", func(context.Context) error { w.gate.open(); return nil }, nil
}

func restartLiveKit(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	w.fake.Crash()
	w.truth.crashed()
	pass(ctx, 3*time.Second)
	return "kill -9 LiveKit", func(context.Context) error {
		w.fake.Start(false)
		w.truth.crashed() // joins during the outage came to nothing, and the rooms are gone from now on
		return nil
	}, nil
}

// emptyLiveKit ends as soon as one cycle has seen it, because a second cycle that agrees would rightly believe it.
func emptyLiveKit(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	began := time.Now()
	w.fake.SetAPIFault(func(fakelivekit.Call) fakelivekit.APIFault { return fakelivekit.APIFault{Empty: true} })
	heal := func(context.Context) error { w.fake.SetAPIFault(nil); return nil }
	err := await(30*time.Second, ctx.Done(), func() error {
		if len(w.watch.after(began)) == 0 {
			return errors.New("no cycle has seen the empty lists")
		}
		return nil
	})
	return "empty lists for one cycle", heal, errors.Join(err, heal(ctx))
}

func failingLiveKit(_ context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	own := rand.New(rand.NewPCG(dice.Uint64(), dice.Uint64())) // another nemesis may use dice at the same time
	w.fake.SetAPIFault(func(fakelivekit.Call) fakelivekit.APIFault {
		switch own.IntN(9) {
		case 0:
			return fakelivekit.APIFault{Code: twirp.Unavailable}
		case 1:
			return fakelivekit.APIFault{Delay: time.Second}
		case 2:
			return fakelivekit.APIFault{Hang: true}
		}
		return fakelivekit.APIFault{}
	})
	return "errors, late answers, none", func(context.Context) error { w.fake.SetAPIFault(nil); return nil }, nil
}

func mangleWebhooks(_ context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	rates := fakelivekit.Rates{Drop: 0.10, Copy: 0.15, Delay: 0.10, Late: 0.15, MaxDelay: time.Second, MaxLate: 8 * time.Second}
	w.truth.order(fakelivekit.Chaos(dice.Uint64(), rates))
	return fmt.Sprintf("%+v", rates), func(context.Context) error { w.truth.order(nil); return nil }, nil
}

// callsPerSecond is the rate that livekit-429 allows.
const callsPerSecond = 20

func limitLiveKit(_ context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	var mu sync.Mutex
	var second int64
	calls, refused := 0, 0
	w.fake.SetAPIFault(func(fakelivekit.Call) fakelivekit.APIFault {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now().Unix(); now != second {
			second, calls = now, 0
		}
		if calls++; calls > callsPerSecond {
			refused++
			return fakelivekit.APIFault{Code: twirp.ResourceExhausted}
		}
		return fakelivekit.APIFault{}
	})
	return fmt.Sprintf("429 beyond %d calls a second", callsPerSecond), func(context.Context) error {
		w.fake.SetAPIFault(nil)
		mu.Lock()
		defer mu.Unlock()
		if refused == 0 {
			return errors.New("LiveKit was asked less often than it allowed")
		}
		return nil
	}, nil
}

const (
	// listLag is the most that LiveKit's lists lag in livekit-lag, snapshotEvery the resolution of their age.
	listLag       = 8 * time.Second
	snapshotEvery = 500 * time.Millisecond
)

// lagLiveKit shows each list as it was a while ago, each with a lag of its own. It shows nothing from before the nemesis began.
func lagLiveKit(_ context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	ctx, cancel := context.WithCancel(context.Background())
	past := &past{shots: []*fakelivekit.Snapshot{w.fake.Snapshot()}, seed: dice.Uint64()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for pass(ctx, snapshotEvery); ctx.Err() == nil; pass(ctx, snapshotEvery) {
			past.add(w.fake.Snapshot())
		}
	}()
	w.fake.SetAPIFault(past.fault)
	return fmt.Sprintf("lists up to %v old", listLag), func(context.Context) error {
		w.fake.SetAPIFault(nil)
		cancel()
		<-ended
		return nil
	}, nil
}

// past holds recent states of LiveKit, the newest last.
type past struct {
	seed  uint64
	mu    sync.Mutex
	shots []*fakelivekit.Snapshot
}

func (p *past) add(s *fakelivekit.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shots = append(p.shots, s)
	if most := int(listLag/snapshotEvery) + 1; len(p.shots) > most {
		p.shots = p.shots[1:]
	}
}

// fault makes a list show its state of as long ago as the list's own lag.
func (p *past) fault(c fakelivekit.Call) fakelivekit.APIFault {
	name := fnv.New64a()
	_, _ = name.Write([]byte(c.Room))
	age := rand.New(rand.NewPCG(p.seed, name.Sum64())).IntN(int(listLag/snapshotEvery) + 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	return fakelivekit.APIFault{AsOf: p.shots[max(0, len(p.shots)-1-age)]}
}
