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

// heal undoes what a nemesis broke. Nodes need not be ready when it returns.
type heal func(ctx context.Context) error

// run calls the heal, if there is one.
func (h heal) run(ctx context.Context) error {
	if h == nil {
		return nil
	}
	return h(ctx)
}

// Nemesis breaks something. It is stateless: everything about one fault is in what Do returns.
type Nemesis struct {
	// Name selects it, and Doc describes it, for the README.
	Name, Doc string
	// Kind is what it affects. Two nemeses of one kind are not combined.
	Kind string
	// Do breaks something and describes it. The heal is nil if Do has undone the fault itself. It must be run also after an
	// error.
	Do func(ctx context.Context, w *World, dice *rand.Rand) (what string, heal heal, err error)
	// Lasts means that the fault stays for Options.Hold.
	Lasts bool
	// Gentle means that no attempt of any webhook may fail during the fault.
	Gentle bool
	// Forgets means that Redis may lose what it has confirmed, so that earlier promises no longer bind.
	Forgets bool
	// Cuts means that it needs the containers' networks (compose.CanCut), Disks that it needs disks that can be filled.
	Cuts, Disks bool
	// Joins means that it adds a node to the cluster, which has five at most.
	Joins bool
	// Sentinel means that it needs a world with sentinels, in which only such nemeses are run. Cluster means the same for a Redis
	// Cluster.
	Sentinel, Cluster bool
	// Alone means that it is not combined with others.
	Alone bool
}

// All returns the nemeses, by kind. The last ones combine others.
func All() []Nemesis { return append(single(), mix(), joinAmidst()) }

// single returns those that combine no others.
func single() []Nemesis {
	return slices.Concat(processes(), networks(), redises(), shards(), livekits(), disks(), upgrades(), members(), restores(), replacements(), overloads())
}

// choose returns the nemeses of the options, or all that this world and this machine allow.
func (w *World) choose() ([]Nemesis, error) {
	all := All()
	if len(w.opts.Nemeses) == 0 {
		return slices.DeleteFunc(all, func(n Nemesis) bool {
			err := w.allows(n)
			if err != nil && n.Sentinel == w.opts.Sentinel && n.Cluster == w.opts.Cluster {
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

// Names returns the names of All.
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
	case n.Sentinel != w.opts.Sentinel || n.Cluster != w.opts.Cluster:
		return errors.New("it is for another world: with sentinels, with a Redis Cluster, or without either")
	}
	return nil
}

// leader returns the service of the leading node and marks it busy. It waits until the leader is a node that is not busy.
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

// node returns a node that is not busy, if possible one that does not lead, and marks it busy. Every node owns a part of the
// rooms.
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

// picker picks a service, action does something to it, and cutter is the Do of a Nemesis.
type (
	picker func(context.Context, *World, *rand.Rand) (string, error)
	action func(ctx context.Context, w *World, service string) error
	cutter func(context.Context, *World, *rand.Rand) (string, heal, error)
)

// one returns a nemesis of one service, which who picks.
func one(who picker, does string, hit, undo action) cutter {
	return func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
		service, err := who(ctx, w, dice)
		if err != nil {
			return "", nil, err
		}
		return does + " " + nodeID(service), func(ctx context.Context) error { return undo(ctx, w, service) }, hit(ctx, w, service)
	}
}

func theLeader(ctx context.Context, w *World, _ *rand.Rand) (string, error) { return w.leader(ctx) }

func anOwner(_ context.Context, w *World, dice *rand.Rand) (string, error) { return w.node(dice) }

// others returns the running nodes except that one.
func (w *World) others(service string) []string {
	return slices.DeleteFunc(w.running(), func(s string) bool { return s == service })
}
