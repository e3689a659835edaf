package sim

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/memnet"
	"github.com/rollcallhq/rollcall/testing/memstore"
)

// The hosts that are no machines of ours, for cuts.
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
	// Hurting tells whether messages between processes are hurt.
	Hurting func() bool

	mu    sync.Mutex
	doors map[string]*Process // that take webhooks
	late  sync.WaitGroup      // what is on its way though nobody waits for it
}

// NewWorld is one without processes, in which nothing is hurt.
func NewWorld(seed uint64) (*World, error) {
	door, err := NewDoor()
	if err != nil {
		return nil, err
	}
	w := &World{Net: memnet.New(), History: NewHistory(), Settled: &Settled{}, Dice: &Dice{Seed: seed}, Verifier: door.Verifier,
		doors: map[string]*Process{}}
	w.StoreFault = func(memstore.Op, string) memstore.Fault { return memstore.Fault{} }
	w.LookFault = func(string) LookFault { return LookFault{} }
	w.Hurting = func() bool { return false }
	w.Store = memstore.New(memstore.Options{Feed: true, Watch: func(s memstore.Script) { w.History.Watch(s); w.Settled.Watch(s) }})
	w.Fake = fakelivekit.New(fakelivekit.Options{Seed: seed, URLs: []string{"http://rollcall/hook"}, Transport: fakelivekit.InProcess(w),
		ClientTimeout: 10, EmptyTimeout: 20, ListLag: time.Duration(w.Dice.N("lag", 9)) * time.Second})
	w.Settled.Fake = w.Fake
	return w, nil
}

// ServeHTTP is a balancer that brings a webhook to any node, whatever its state.
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

// hop returns when a message has come from one host to the other, or with ctx's error.
func (w *World) hop(ctx context.Context, from, to string) error {
	for {
		open, changed := w.Net.Open(from, to)
		if open {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if w.Net.Delay == nil {
		return ctx.Err()
	}
	if d := w.Net.Delay(from, to); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
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

// Close waits for what is still on its way.
func (w *World) Close() {
	w.Fake.Close()
	w.late.Wait()
}
