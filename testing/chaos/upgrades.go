package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"
)

func upgrades() []Nemesis {
	return []Nemesis{
		{Name: "rolling-restart", Kind: "node", Gentle: true, Doc: "each node in its turn: SIGTERM, start, the next when it is ready", Do: rollingRestart},
		{Name: "rolling-upgrade", Kind: "node", Gentle: true, Doc: "each node in its turn gets a container of another build, and back again the next time", Do: rollingUpgrade},
	}
}

func rollingRestart(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	nodes := w.running()
	dice.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, s := range nodes {
		start := func(ctx context.Context) error { return w.project.Start(ctx, s) }
		if err := w.project.Stop(ctx, s); err != nil {
			return "", start, err
		}
		if err := start(ctx); err != nil {
			return "", start, err
		}
		if err := w.ready(ctx, s); err != nil {
			return "", nil, err
		}
	}
	return "SIGTERM and start of " + ids(nodes), nil, nil
}

// ready waits until the balancer sends requests to the node.
func (w *World) ready(ctx context.Context, service string) error {
	return await(time.Minute, ctx.Done(), func() error {
		if !slices.Contains(w.balancer.Ready(), w.url(service)) {
			return fmt.Errorf("%s is not ready", service)
		}
		return nil
	})
}

// nextImage returns the name of the image of another build.
func (w *World) nextImage() string { return w.image() + "-next" }

// rollingUpgrade switches to the other build, whichever runs now.
func rollingUpgrade(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	before, err := w.version(ctx, w.running()[0])
	if err != nil {
		return "", nil, err
	}
	image := w.image()
	if before != nextVersion {
		image = w.nextImage()
		if err := w.makeNext(ctx); err != nil {
			return "", nil, err
		}
	}
	nodes := w.running()
	dice.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, s := range nodes {
		w.keepLog(ctx, s)
		w.project.Set("ROLLCALL_IMAGE_"+nodeID(s)[1:], image)
		if err := w.project.Renew(ctx, s); err != nil {
			return "", nil, err
		}
		if err := w.ready(ctx, s); err != nil {
			return "", nil, err
		}
	}
	after, err := w.version(ctx, nodes[0])
	if err == nil && after == before {
		err = fmt.Errorf("%s is still %s", nodes[0], after)
	}
	return fmt.Sprintf("%s from %s to %s", ids(nodes), before, after), nil, err
}

const nextVersion = "next"

func (w *World) makeNext(ctx context.Context) error {
	binary := filepath.Join(w.data, "rollcall-next")
	if err := w.engine.BuildBinary(ctx, binary, "-ldflags=-s -w -X main.version="+nextVersion); err != nil {
		return err
	}
	return w.engine.BuildRollcall(ctx, w.nextImage(), binary)
}

// version returns a node's version, as it reports it.
func (w *World) version(ctx context.Context, service string) (string, error) {
	c, err := w.client(service)
	if err != nil {
		return "", err
	}
	seen, err := c.Cluster(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range seen.Members {
		if m.ID == nodeID(service) {
			return m.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not know itself", service)
}
