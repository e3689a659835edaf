package sim

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// Node is one run of the only node. Its ownership never changes, and a later run has a higher claim.
type Node struct {
	Claimed reconcile.Claim
	Led     reconcile.Token
	Host    *actors.Host
	Router  *actors.Router
	Sweep   *actors.Sweep
}

var _ actors.Ownership = (*Node)(nil)

// Owner returns this node.
func (n *Node) Owner(string) (actors.Place, error) { return n.place(), nil }

// Members returns this node.
func (n *Node) Members() []actors.Place { return []actors.Place{n.place()} }

// View returns a context that never ends, because the view never changes.
func (n *Node) View() context.Context { return context.Background() }

// Epoch returns the run's epoch.
func (n *Node) Epoch() uint64 { return n.Claimed.Epoch }

func (n *Node) place() actors.Place {
	return actors.Place{Node: "n1", Incarnation: n.Claimed.Incarnation, Epoch: n.Claimed.Epoch}
}

// Claim returns the run's claim.
func (n *Node) Claim(string, reconcile.Claim) (reconcile.Claim, error) { return n.Claimed, nil }

// Leader returns the run's leader token.
func (n *Node) Leader() reconcile.Token { return n.Led }

// Lag is the --livekit-lag of all nodes, the default.
const Lag = 10 * time.Second

// Store is the part of the store port that a node needs.
type Store interface {
	actors.Store
	actors.Index
}

// NewNode starts the node for the given run.
func NewNode(run uint64, store Store, rooms actors.Rooms) (*Node, error) {
	n := &Node{Claimed: reconcile.Claim{Generation: 1, Epoch: 10 * run, Incarnation: 10*run - 1}, Led: reconcile.Token{Generation: 1, Index: 10*run + 1}}
	clock, log := actors.NewSystemClock(), slog.New(slog.DiscardHandler)
	host, err := actors.NewHost(actors.HostConfig{Store: store, Rooms: rooms, Ownership: n, Clock: clock, Observer: Silent{},
		Index: store, Log: log, Lag: Lag})
	if err != nil {
		return nil, err
	}
	n.Host = host
	n.Router = actors.NewRouter(n, func(actors.Place) (actors.Owner, bool) { return host, true })
	n.Sweep = actors.NewSweep(actors.SweepConfig{Rooms: rooms, Index: store, Router: n.Router, Clock: clock, Log: log,
		StaleAfter: 30 * time.Minute})
	return n, nil
}

// Door receives webhooks as the HTTP endpoint does and passes them to the current node.
type Door struct {
	Verifier *livekit.Verifier

	mu   sync.Mutex
	node *Node
}

// NewDoor returns a Door for webhooks that a fake signs with the default key.
func NewDoor() (*Door, error) {
	v, err := livekit.NewVerifier(map[string]string{fakelivekit.DefaultKey: fakelivekit.DefaultSecret})
	return &Door{Verifier: v}, err
}

// Lead directs webhooks to a node from now on.
func (d *Door) Lead(n *Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.node = n
}

// Node returns the current node.
func (d *Door) Node() *Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.node
}

// ServeHTTP answers 200 after the commit, otherwise 401, 400, or 503.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer(w, r, d.Verifier, time.Now(), d.Node().Router.Deliver)
}

func answer(w http.ResponseWriter, r *http.Request, verifier *livekit.Verifier, now time.Time, deliver func(context.Context, reconcile.Event) error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	event, known, err := verifier.Verify(body, r.Header.Get("Authorization"), now)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if !known {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	switch err := deliver(ctx, event); {
	case errors.Is(err, actors.ErrExpired):
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil:
		w.Header().Set("Retry-After", "4")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// Silent observes nothing.
type Silent struct{}

// Committed implements actors.Observer.
func (Silent) Committed(reconcile.Cause, bool, time.Duration) {}

// Changed implements actors.Observer.
func (Silent) Changed(actors.Effect) {}

// Refused implements actors.Observer.
func (Silent) Refused(error) {}

// Polled implements actors.Observer.
func (Silent) Polled(bool) {}

// Crashed implements actors.Observer.
func (Silent) Crashed() {}

// Rooms implements actors.Observer.
func (Silent) Rooms(int) {}

// Holds implements actors.Observer.
func (Silent) Holds(_, _ *reconcile.State) {}

// CycleEnded implements node.Telemetry.
func (Silent) CycleEnded(fsm.Kind, reconcile.Report) {}

// CycleSlow implements node.Telemetry.
func (Silent) CycleSlow(string) {}
