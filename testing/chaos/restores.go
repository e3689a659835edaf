package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
)

func restores() []Nemesis {
	return []Nemesis{
		{Name: "restore-data", Kind: "node", Disks: true, Do: restoreData,
			Doc: "a node runs on for the hold after its data directory was copied; kill -9, and a start with the copy"},
		{Name: "restore-all", Kind: "node", Disks: true, Alone: true, Do: restoreAll,
			Doc: "the same to all nodes at once, after the leader has changed three times: raft uses terms a second time"},
	}
}

func restoreData(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	s, err := w.node(dice)
	if err != nil {
		return "", nil, err
	}
	heal := func(ctx context.Context) error { return w.project.Start(ctx, s) }
	if err := w.copyData(ctx, s); err != nil {
		return "", heal, err
	}
	pass(ctx, w.opts.Hold)
	return nodeID(s) + " starts with a copy of its data", heal, w.restore(ctx, s)
}

func restoreAll(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	nodes := w.running()
	heal := func(ctx context.Context) error {
		return each(nodes, func(s string) error { return w.project.Start(ctx, s) })
	}
	if err := w.copyData(ctx, nodes...); err != nil {
		return "", heal, err
	}
	for range 3 {
		if err := w.changeLeader(ctx); err != nil {
			return "", heal, err
		}
	}
	pass(ctx, w.opts.Hold)
	err := w.restore(ctx, nodes...)
	w.watch.forgetTerms()
	return "all start with a copy of their data", heal, err
}

// changeLeader restarts the leader, so that another node leads, and leaves no node busy.
func (w *World) changeLeader(ctx context.Context) error {
	leads, err := w.leader(ctx)
	if err != nil {
		return err
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.busy, leads)
	}()
	return errors.Join(w.project.Stop(ctx, leads), w.project.Start(ctx, leads), w.ready(ctx, leads))
}

// copyData copies the data of nodes while they are down, and returns when they are ready again.
func (w *World) copyData(ctx context.Context, nodes ...string) error {
	err := each(nodes, func(s string) error {
		return errors.Join(w.project.Kill(ctx, s), copyTree(ctx, w.dataOf(s), w.dataOf(s)+"-copy"), w.project.Start(ctx, s))
	})
	if err != nil {
		return err
	}
	return w.allReady(ctx, nodes)
}

// restore kills nodes and replaces their data with the copies.
func (w *World) restore(ctx context.Context, nodes ...string) error {
	return each(nodes, func(s string) error {
		return errors.Join(w.project.Kill(ctx, s), empty(w.dataOf(s)), copyTree(ctx, w.dataOf(s)+"-copy", w.dataOf(s)))
	})
}

func (w *World) dataOf(service string) string { return filepath.Join(w.data, nodeID(service)) }

func (w *World) allReady(ctx context.Context, nodes []string) error {
	return each(nodes, func(s string) error { return w.ready(ctx, s) })
}

// copyTree copies the content of a directory, including owners, to another directory, which may exist.
func copyTree(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", "-T", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}
