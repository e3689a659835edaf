package sim

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memnet"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Hosts other than our machines, for cuts.
const (
	Redis       = "redis"
	LiveKitHost = "livekit"
)

// World is what the processes of a cluster share. Its fields are set before the first process starts.
type World struct {
	Net        *memnet.Net
	Store      *memstore.Store
	Fake       *fakelivekit.Fake
	Verifier   *livekit.Verifier
	History    *History
	Settled    *Settled
	Dice       *Dice
	StoreFault func(op memstore.Op, room string) memstore.Fault
	LookFault  func(room string) LookFault
	// Hurting reports whether messages between processes are subject to faults.
	Hurting func() bool

	mu    sync.Mutex
	doors map[string]*Process // the processes that receive webhooks
	late  sync.WaitGroup      // messages in flight that nobody waits for
}

// NewWorld returns a World without processes or faults. The lists of its LiveKit lag by at most lag.
func NewWorld(dice *Dice, lag time.Duration) (*World, error) {
	door, err := NewDoor()
	if err != nil {
		return nil, err
	}
	w := &World{Net: memnet.New(), History: NewHistory(), Settled: &Settled{}, Dice: dice, Verifier: door.Verifier,
		doors: map[string]*Process{}}
	w.StoreFault = func(memstore.Op, string) memstore.Fault { return memstore.Fault{} }
	w.LookFault = func(string) LookFault { return LookFault{} }
	w.Hurting = func() bool { return false }
	w.Store = memstore.New(memstore.Options{Feed: true, Watch: func(s memstore.Script) { w.History.Watch(s); w.Settled.Watch(s) }})
	w.Fake = fakelivekit.New(fakelivekit.Options{Seed: dice.Seed, URLs: []string{"http://rollcall/hook"}, Transport: fakelivekit.InProcess(w),
		ClientTimeout: 10, EmptyTimeout: 20, AbortTimeout: 20, ListLag: lag})
	w.Settled.Fake = w.Fake
	return w, nil
}

// ServeHTTP acts as a load balancer that sends a webhook to any node, whatever its state.
func (w *World) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	var names []string
	for i := 1; i <= maxMachines; i++ {
		if name := fmt.Sprintf("n%d", i); w.doors[name] != nil {
			names = append(names, name)
		}
	}
	w.mu.Unlock()
	if len(names) == 0 {
		out.WriteHeader(http.StatusBadGateway)
		return
	}
	name := names[w.Dice.N("balancer", len(names))]
	w.mu.Lock()
	p := w.doors[name]
	w.mu.Unlock()
	if p == nil || w.hop(r.Context(), LiveKitHost, name) != nil {
		out.WriteHeader(http.StatusBadGateway)
		return
	}
	p.serve(out, r)
}

const maxMachines = 9

// hop returns when a message has travelled from one host to the other, or when ctx ends, with its error.
func (w *World) hop(ctx context.Context, from, to string) error {
	if err := w.Net.Await(ctx, from, to); err != nil {
		return err
	}
	if w.Net.Delay != nil {
		if d := w.Net.Delay(from, to); d > 0 {
			return wait.For(ctx, d)
		}
	}
	return ctx.Err()
}

func (w *World) running(p *Process, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if yes {
		w.doors[p.Name] = p
	} else if w.doors[p.Name] == p {
		delete(w.doors, p.Name)
	}
}

// Close waits for messages that are still in flight.
func (w *World) Close() {
	w.Fake.Close()
	w.late.Wait()
}
