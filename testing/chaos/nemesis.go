package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/testing/compose"
)

// mend takes away what a nemesis broke. Nodes need not be ready when it returns.
type mend func(ctx context.Context) error

// run mends, where there is anything to mend.
func (m mend) run(ctx context.Context) error {
	if m == nil {
		return nil
	}
	return m(ctx)
}

// Nemesis breaks something. It is stateless: all about one strike is in what Do returns.
type Nemesis struct {
	// Name is how it is chosen, and Doc what it does, for the README.
	Name, Doc string
	// Kind is what it lays its hand on; two of one kind do not go together.
	Kind string
	// Do breaks and tells what; the mend is nil where Do has mended by itself. It must be run also after an error.
	Do func(ctx context.Context, w *World, dice *rand.Rand) (what string, heal mend, err error)
	// Lasts: the fault stays for Options.Hold.
	Lasts bool
	// Gentle: no attempt of any webhook may fail meanwhile.
	Gentle bool
	// Forgets: Redis may lose what it has confirmed, so that what was promised before no longer binds.
	Forgets bool
	// Cuts: it needs the containers' networks (compose.CanCut), Disks: disks that can be filled.
	Cuts, Disks bool
	// Joins: it takes a node more into the cluster, which has five at most.
	Joins bool
	// Sentinel: it needs a world with sentinels, and only those with it are for such a world.
	Sentinel bool
}

// All are the nemeses, by kind. The last ones combine the others.
func All() []Nemesis { return append(single(), mix(), joinAmidst()) }

// single are those that combine no others.
func single() []Nemesis {
	return slices.Concat(processes(), networks(), redises(), livekits(), disks(), upgrades(), members())
}

// choose are the options' nemeses, or all that this world and this machine allow.
func (w *World) choose() ([]Nemesis, error) {
	all := All()
	if len(w.opts.Nemeses) == 0 {
		return slices.DeleteFunc(all, func(n Nemesis) bool {
			err := w.allows(n)
			if err != nil && n.Sentinel == w.opts.Sentinel {
				w.note("without %s: %v", n.Name, err)
			}
			return err != nil
		}), nil
	}
	var chosen []Nemesis
	for _, name := range w.opts.Nemeses {
		i := slices.IndexFunc(all, func(n Nemesis) bool { return n.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no nemesis %q; there are %s", name, strings.Join(Names(), ", "))
		}
		if err := w.allows(all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// Names are those of All.
func Names() []string {
	var names []string
	for _, n := range All() {
		names = append(names, n.Name)
	}
	return names
}

func (w *World) allows(n Nemesis) error {
	switch {
	case n.Cuts && compose.CanCut() != nil:
		return compose.CanCut()
	case n.Disks && len(w.mounted) == 0:
		return errors.New("this machine does not let us mount disks that can be filled: run as root")
	case n.Joins && w.opts.Nodes == 5:
		return errors.New("it takes in a node more, and five are all that there are")
	case n.Sentinel != w.opts.Sentinel:
		return errors.New("it is for another world: with sentinels, or without")
	}
	return nil
}

// leader is the service of the node that leads, and now is busy; it waits for one that is not busy yet.
func (w *World) leader(ctx context.Context) (string, error) {
	var service string
	err := await(20*time.Second, ctx.Done(), func() error {
		service = serviceOf(w.watch.last().Leader)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Contains(w.nodes, service) || w.busy[service] {
			return errors.New("no leader to break")
		}
		w.busy[service] = true
		return nil
	})
	return service, err
}

// node is one that is not busy and, if it can be, does not lead. It is busy now. Each owns its share of the rooms.
func (w *World) node(dice *rand.Rand) (string, error) {
	leads := serviceOf(w.watch.last().Leader)
	w.mu.Lock()
	defer w.mu.Unlock()
	free := slices.DeleteFunc(slices.Clone(w.nodes), func(s string) bool { return w.busy[s] })
	if len(free) > 1 {
		free = slices.DeleteFunc(free, func(s string) bool { return s == leads })
	}
	if len(free) == 0 {
		return "", errors.New("no node is left to break")
	}
	service := free[dice.IntN(len(free))]
	w.busy[service] = true
	return service, nil
}

// one is a nemesis of one node: who picks it.
func one(who func(context.Context, *World, *rand.Rand) (string, error), does string,
	hit func(context.Context, *World, string) error, heal func(context.Context, *World, string) error,
) func(context.Context, *World, *rand.Rand) (string, mend, error) {
	return func(ctx context.Context, w *World, dice *rand.Rand) (string, mend, error) {
		service, err := who(ctx, w, dice)
		if err != nil {
			return "", nil, err
		}
		return does + " " + nodeID(service), func(ctx context.Context) error { return heal(ctx, w, service) }, hit(ctx, w, service)
	}
}

func theLeader(ctx context.Context, w *World, _ *rand.Rand) (string, error) { return w.leader(ctx) }

func anOwner(_ context.Context, w *World, dice *rand.Rand) (string, error) { return w.node(dice) }

// others are the running nodes without that one.
func (w *World) others(service string) []string {
	return slices.DeleteFunc(w.running(), func(s string) bool { return s == service })
}
