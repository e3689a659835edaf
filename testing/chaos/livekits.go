package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/testing/fakelivekit"
)

func livekits() []Nemesis {
	return []Nemesis{
		{Name: "pause-livekit", Kind: "livekit", Lasts: true, Doc: "LiveKit is frozen: its API does not answer and no webhook goes out", Do: pauseLiveKit},
		{Name: "restart-livekit", Kind: "livekit", Doc: "LiveKit dies, with all rooms and all mail, and comes back empty 3 s later", Do: restartLiveKit},
		{Name: "livekit-empty", Kind: "livekit", Lasts: true, Doc: "LiveKit's lists are empty for one sync cycle: nobody may be removed for it", Do: emptyLiveKit},
		{Name: "livekit-errors", Kind: "livekit", Lasts: true, Doc: "one in three of LiveKit's answers is an error, is a second late, or never comes", Do: failingLiveKit},
		{Name: "webhooks", Kind: "webhooks", Lasts: true, Do: mangleWebhooks,
			Doc: "webhooks are dropped (10 %), repeated (15 %), delayed up to 1 s (10 %) and overtaken by others by up to 8 s (15 %)"},
	}
}

func pauseLiveKit(_ context.Context, w *World, _ *rand.Rand) (string, mend, error) {
	w.gate.close()
	return "pause LiveKit", func(context.Context) error { w.gate.open(); return nil }, nil
}

func restartLiveKit(ctx context.Context, w *World, _ *rand.Rand) (string, mend, error) {
	w.fake.Crash()
	w.truth.crashed()
	pass(ctx, 3*time.Second)
	return "kill -9 LiveKit", func(context.Context) error {
		w.fake.Start(false)
		w.truth.crashed() // what was tried meanwhile came to nothing, and the rooms are gone from now on
		return nil
	}, nil
}

// emptyLiveKit ends as soon as a cycle has seen it, for a second one that agrees would be right to believe it.
func emptyLiveKit(ctx context.Context, w *World, _ *rand.Rand) (string, mend, error) {
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

func failingLiveKit(_ context.Context, w *World, dice *rand.Rand) (string, mend, error) {
	draws := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case draws <- dice.IntN(9):
			case <-ctx.Done():
				return
			}
		}
	}()
	w.fake.SetAPIFault(func(fakelivekit.Call) fakelivekit.APIFault {
		switch <-draws {
		case 0:
			return fakelivekit.APIFault{Code: twirp.Unavailable}
		case 1:
			return fakelivekit.APIFault{Delay: time.Second}
		case 2:
			return fakelivekit.APIFault{Hang: true}
		}
		return fakelivekit.APIFault{}
	})
	return "errors, late answers, none", func(context.Context) error { w.fake.SetAPIFault(nil); cancel(); return nil }, nil
}

func mangleWebhooks(_ context.Context, w *World, dice *rand.Rand) (string, mend, error) {
	rates := fakelivekit.Rates{Drop: 0.10, Copy: 0.15, Delay: 0.10, Late: 0.15, MaxDelay: time.Second, MaxLate: 8 * time.Second}
	w.truth.order(fakelivekit.Chaos(dice.Uint64(), rates))
	return fmt.Sprintf("%+v", rates), func(context.Context) error { w.truth.order(nil); return nil }, nil
}
