package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
)

func processes() []Nemesis {
	return []Nemesis{
		{Name: "kill-leader", Kind: "node", Lasts: true, Doc: "kill -9 of the leader, and a start after the hold", Do: one(theLeader, "kill -9", kill, start)},
		{Name: "kill-owner", Kind: "node", Lasts: true, Doc: "kill -9 of a node that does not lead, and a start after the hold", Do: one(anOwner, "kill -9", kill, start)},
		{Name: "kill-all", Kind: "node", Doc: "kill -9 of all nodes at once, and a start at once", Do: killAll},
		{Name: "stop-leader", Kind: "node", Lasts: true, Gentle: true, Doc: "SIGTERM to the leader, and a start after the hold", Do: one(theLeader, "SIGTERM", stop, start)},
		{Name: "stop-owner", Kind: "node", Lasts: true, Gentle: true, Doc: "SIGTERM to a node that does not lead, and a start after the hold", Do: one(anOwner, "SIGTERM", stop, start)},
		{Name: "pause-leader", Kind: "node", Lasts: true, Doc: "the leader is frozen during its work, and continues after the hold", Do: one(theLeader, "pause", pause, unpause)},
		{Name: "pause-owner", Kind: "node", Lasts: true, Doc: "a node that does not lead is frozen during its commits, and continues after the hold", Do: one(anOwner, "pause", pause, unpause)},
	}
}

func kill(ctx context.Context, w *World, s string) error    { return w.project.Kill(ctx, s) }
func stop(ctx context.Context, w *World, s string) error    { return w.project.Stop(ctx, s) }
func start(ctx context.Context, w *World, s string) error   { return w.project.Start(ctx, s) }
func pause(ctx context.Context, w *World, s string) error   { return w.project.Pause(ctx, s) }
func unpause(ctx context.Context, w *World, s string) error { return w.project.Unpause(ctx, s) }

func killAll(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	nodes := w.running()
	errs := each(nodes, func(s string) error { return w.project.Kill(ctx, s) })
	heal := func(ctx context.Context) error {
		return each(nodes, func(s string) error { return w.project.Start(ctx, s) })
	}
	return "kill -9 of " + ids(nodes), heal, errs
}

// each calls do for all services at the same time.
func each(services []string, do func(string) error) error {
	errs := make([]error, len(services))
	var all sync.WaitGroup
	for i, s := range services {
		all.Go(func() { errs[i] = do(s) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func ids(services []string) string {
	var all []string
	for _, s := range services {
		all = append(all, nodeID(s))
	}
	return strings.Join(all, ", ")
}
