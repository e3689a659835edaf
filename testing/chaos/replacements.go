package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
)

func replacements() []Nemesis {
	return []Nemesis{
		{Name: "new-addresses", Kind: "node", Alone: true, Do: newAddresses,
			Doc: "kill -9 of all nodes, which come back at once with other IP addresses: new ones, or those of each other, as the dice say"},
		{Name: "rollout-without-volumes", Kind: "node", Disks: true, Alone: true, Gentle: true, Do: rolloutWithoutVolumes,
			Doc: "each node in its turn: SIGTERM, and a new container of its name with an empty data directory, the next when it is ready"},
	}
}

// addresses returns as many unused addresses as there are nodes.
func (w *World) addresses(dice *rand.Rand, nodes []string) []string {
	var all []string
	first := 100 + 10*dice.IntN(10)
	for i := range nodes {
		all = append(all, fmt.Sprintf("%s.%d", w.net, first+i))
	}
	return all
}

func newAddresses(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	nodes := w.running()
	var to []string
	if dice.IntN(2) == 0 {
		to = w.addresses(dice, nodes)
	} else {
		for i := range nodes {
			to = append(to, w.ip(nodes[(i+1)%len(nodes)]))
		}
	}
	heal := func(ctx context.Context) error {
		for _, s := range nodes { // all first: one node's new address may be another's old one
			w.balancer.Remove(w.url(s))
		}
		for i, s := range nodes {
			w.setIP(s, to[i])
			w.balancer.Add(w.url(s))
		}
		return w.project.Renew(ctx, nodes...)
	}
	err := each(nodes, func(s string) error { return w.project.Kill(ctx, s) })
	for _, s := range nodes {
		w.keepLog(ctx, s)
	}
	return ids(nodes) + " move to " + strings.Join(to, ", "), heal, err
}

func rolloutWithoutVolumes(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	nodes := w.running()
	dice.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, s := range nodes {
		renew := func(ctx context.Context) error { return w.project.Renew(ctx, s) }
		if err := w.project.Stop(ctx, s); err != nil {
			return "", renew, err
		}
		w.keepLog(ctx, s)
		if err := w.project.Remove(ctx, s); err != nil {
			return "", renew, err
		}
		if err := empty(w.dataOf(s)); err != nil {
			return "", renew, err
		}
		if err := renew(ctx); err != nil {
			return "", renew, err
		}
		if err := w.ready(ctx, s); err != nil {
			return "", nil, err
		}
	}
	return "new containers without data for " + ids(nodes), nil, nil
}
