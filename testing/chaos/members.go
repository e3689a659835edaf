package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

func members() []Nemesis {
	return []Nemesis{
		{Name: "join-and-leave", Kind: "members", Lasts: true, Disks: true, Joins: true, Doc: "one more node joins, owns rooms for the hold, and is then removed permanently", Do: joinAndLeave},
		{Name: "lose-data", Kind: "node", Disks: true, Doc: "kill -9 of a node, which loses its data directory and joins again", Do: loseData},
	}
}

func joinAndLeave(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	s := nodeService(w.opts.Nodes + 1)
	w.setRunning(append(w.running(), s))
	heal := func(ctx context.Context) error { return w.leave(ctx, s) }
	if err := w.project.Up(ctx, s); err != nil {
		return "", heal, err
	}
	w.balancer.Add(w.url(s))
	return nodeID(s) + " joins", heal, w.ready(ctx, s)
}

func (w *World) setRunning(nodes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes = nodes
}

// leave removes a node from the cluster, and deletes everything that remains of it after its process has ended.
func (w *World) leave(ctx context.Context, s string) error {
	in := false
	err := await(time.Minute, ctx.Done(), func() error {
		asked, err := w.client(w.others(s)[0])
		if err != nil {
			return err
		}
		seen, err := asked.Cluster(ctx)
		if err != nil {
			return err
		}
		for _, m := range seen.Members {
			if m.ID == nodeID(s) {
				in = true
				_, err := asked.RemoveNode(ctx, nodeID(s))
				return err
			}
		}
		return nil // it never joined, or an attempt that failed has removed it
	})
	if !in {
		err = errors.Join(err, w.project.Kill(ctx, s))
	}
	w.balancer.Remove(w.url(s))
	w.setRunning(w.others(s))
	err = errors.Join(err, w.awaitExit(ctx, s))
	w.keepLog(ctx, s)
	return errors.Join(err, w.project.Remove(ctx, s), empty(w.dataOf(s)))
}

// awaitExit waits until a service has ended.
func (w *World) awaitExit(ctx context.Context, s string) error {
	return await(30*time.Second, ctx.Done(), func() error {
		state, err := w.project.State(ctx, s)
		if err == nil && state.Status != "exited" {
			err = fmt.Errorf("%s is still %s", s, state.Status)
		}
		return err
	})
}

// empty removes the content of a directory, but not the directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func loseData(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	s, err := w.node(dice)
	if err != nil {
		return "", nil, err
	}
	heal := func(ctx context.Context) error { return w.project.Start(ctx, s) }
	if err := w.project.Kill(ctx, s); err != nil {
		return "", heal, err
	}
	return nodeID(s) + " loses its data", heal, empty(w.dataOf(s))
}
