package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/testing/compose"
)

func networks() []Nemesis {
	one := func(name, doc string, who picker, rules func(*World, string, *rand.Rand) []compose.Rule) Nemesis {
		return Nemesis{Name: name, Kind: "network", Doc: doc, Lasts: true, Cuts: true, Do: cutOne(doc, who, rules)}
	}
	every := func(name, doc string, rules func(*World, string, *rand.Rand) []compose.Rule) Nemesis {
		return Nemesis{Name: name, Kind: "network", Doc: doc, Lasts: true, Cuts: true, Do: cutAll(rules)}
	}
	return []Nemesis{
		one("partition-one", "a node that does not lead is cut off from the other nodes; Redis, LiveKit and webhooks still reach it", anOwner, fromNodes),
		one("partition-leader", "the leader is cut off from its followers; Redis, LiveKit and webhooks still reach it", theLeader, fromNodes),
		one("partition-oneway", "a node hears the others and is not heard by them, or the other way round, as the dice say", anOwner, oneWay),
		one("partition-oneway-leader", "the same to the leader", theLeader, oneWay),
		{Name: "partition-pair", Kind: "network", Lasts: true, Gentle: true, Cuts: true, Do: cutPair,
			Doc: "two nodes that do not lead are cut off from each other, in one direction or both, as the dice say; raft does not notice, and no webhook may fail"},
		{Name: "partition-pairs", Kind: "network", Cuts: true, Do: cutPairs,
			Doc: "each two nodes in turn are cut off from each other, 4 s in one direction, 4 s in the other, 4 s in both"},
		every("partition-all", "no node reaches another: there is no majority", fromNodes),
		{Name: "partition-majority", Kind: "network", Lasts: true, Cuts: true, Do: minority,
			Doc: "the smaller half, the leader in it, is cut off from the larger; of three nodes that is the leader alone"},
		one("partition-redis-one", "a node is cut off from Redis", anOwner, fromRedis),
		one("partition-redis-leader", "the leader is cut off from Redis", theLeader, fromRedis),
		every("partition-redis", "all nodes are cut off from Redis", fromRedis),
		one("partition-livekit-one", "a node is cut off from LiveKit's API; webhooks still come", anOwner, fromLiveKit),
		every("partition-livekit", "all nodes are cut off from LiveKit's API; webhooks still come", fromLiveKit),
		every("loss", "one in six packets between all nodes and Redis is lost", lossy),
		{Name: "latency-redis", Kind: "network", Lasts: true, Cuts: true, Do: latency(redisPaths), Doc: "Redis answers 60 to 100 ms later, by a proxy"},
		{Name: "flaky-redis", Kind: "network", Lasts: true, Cuts: true, Do: flakyRedis,
			Doc: "Redis behind a proxy: connections are reset at random, answers are late by 200 to 400 ms for half a second in two, and some never come"},
		{Name: "latency-nodes", Kind: "network", Lasts: true, Cuts: true, Do: latency(nodePaths), Doc: "nodes hear each other 60 to 100 ms later each way, by proxies"},
		{Name: "slow-link", Kind: "network", Lasts: true, Cuts: true, Do: slowLink, Doc: "a node's link is slow: netem where the kernel has it, else 2 Mbit/s by tbf"},
	}
}

func fromNodes(w *World, s string, _ *rand.Rand) []compose.Rule {
	var rules []compose.Rule
	for _, other := range w.others(s) {
		rules = append(rules, compose.Rule{Peer: w.ip(other)})
	}
	return rules
}

func oneWay(w *World, s string, dice *rand.Rand) []compose.Rule {
	out := dice.IntN(2) == 0
	rules := fromNodes(w, s, dice)
	for i := range rules {
		rules[i].Out, rules[i].In = out, !out
	}
	return rules
}

func fromRedis(w *World, _ string, _ *rand.Rand) []compose.Rule {
	return []compose.Rule{{Peer: w.ip("redis"), Port: 6379}}
}

func fromLiveKit(w *World, _ string, _ *rand.Rand) []compose.Rule {
	return []compose.Rule{{Peer: w.ip("gateway"), Port: livekitPort}}
}

func lossy(w *World, s string, dice *rand.Rand) []compose.Rule {
	rules := append(fromNodes(w, s, dice), fromRedis(w, s, dice)...)
	for i := range rules {
		rules[i].In, rules[i].Loss = true, 1.0/6
	}
	return rules
}

func cutOne(doc string, who picker, rules func(*World, string, *rand.Rand) []compose.Rule) cutter {
	return func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
		s, err := who(ctx, w, dice)
		if err != nil {
			return doc, nil, err
		}
		return w.cut(ctx, []string{s}, func(s string) []compose.Rule { return rules(w, s, dice) })
	}
}

func cutAll(rules func(*World, string, *rand.Rand) []compose.Rule) cutter {
	return func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
		return w.cut(ctx, w.running(), func(s string) []compose.Rule { return rules(w, s, dice) })
	}
}

func minority(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	s, err := w.leader(ctx)
	if err != nil {
		return "", nil, err
	}
	few := []string{s}
	for len(few) < (len(w.running())-1)/2 {
		if s, err = w.node(dice); err != nil {
			return "", nil, err
		}
		few = append(few, s)
	}
	return w.cut(ctx, few, func(s string) []compose.Rule {
		var rules []compose.Rule
		for _, other := range w.running() {
			if !slices.Contains(few, other) {
				rules = append(rules, compose.Rule{Peer: w.ip(other)})
			}
		}
		return rules
	})
}

// cut drops packets of these nodes, one after the other, and says which.
func (w *World) cut(ctx context.Context, nodes []string, rules func(string) []compose.Rule) (string, heal, error) {
	var errs []error
	var what string
	for _, s := range nodes {
		these := rules(s)
		what += fmt.Sprintf("%s %s; ", nodeID(s), describe(these))
		errs = append(errs, running(w.project.Cut(ctx, s, these...)))
	}
	return strings.TrimSuffix(what, "; "), func(ctx context.Context) error { return w.healAll(ctx, nodes) }, errors.Join(errs...)
}

// healAll ends every cut and diversion of these nodes.
func (w *World) healAll(ctx context.Context, nodes []string) error {
	return each(nodes, func(s string) error { return running(w.project.Heal(ctx, s)) })
}

// running ignores the error of an action on a node that another nemesis has ended: its rules ended with it.
func running(err error) error {
	if errors.Is(err, compose.ErrNotRunning) {
		return nil
	}
	return err
}

func describe(rules []compose.Rule) string {
	var all []string
	for _, r := range rules {
		way := cmp.Or(map[[2]bool]string{{true, false}: "→", {false, true}: "←"}[[2]bool{r.Out, r.In}], "⇹")
		if r.Loss > 0 {
			way += fmt.Sprintf("%.0f%% ", 100*r.Loss)
		}
		peer := r.Peer[strings.LastIndexByte(r.Peer, '.'):]
		if r.Port != 0 {
			peer += fmt.Sprintf(":%d", r.Port)
		}
		all = append(all, way+peer)
	}
	return strings.Join(all, " ")
}

// path is a route of a node's connections.
type path struct {
	peer string
	port int
}

func redisPaths(w *World, _ string) []path { return []path{{w.ip("redis"), 6379}} }

func nodePaths(w *World, s string) []path {
	var all []path
	for _, other := range w.others(s) {
		all = append(all, path{w.ip(other), 7000})
	}
	return all
}

// latency diverts the nodes' connections on these paths through proxies that delay.
func latency(paths func(*World, string) []path) cutter {
	return func(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
		what, heal, err := w.divert(ctx, paths, func(upstream string) (*lag, error) {
			return newLag(w.ip("gateway"), upstream, 30*time.Millisecond, 20*time.Millisecond, nil)
		})
		return "30 to 50 ms each way, " + what, heal, err
	}
}

func flakyRedis(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	what, heal, err := w.divert(ctx, redisPaths, func(upstream string) (*lag, error) {
		return newLag(w.ip("gateway"), upstream, 0, 0, newTrouble(dice))
	})
	return "resets, late and lost answers, " + what, heal, err
}

// divert diverts the nodes' connections on these paths through proxies, one for each path.
func (w *World) divert(ctx context.Context, paths func(*World, string) []path, proxy func(upstream string) (*lag, error)) (string, heal, error) {
	proxies := map[path]*lag{}
	nodes := w.running()
	heal := func(ctx context.Context) error {
		err := w.healAll(ctx, nodes)
		for _, p := range proxies {
			err = errors.Join(err, p.Close())
		}
		return err
	}
	for _, s := range nodes {
		for _, to := range paths(w, s) {
			if proxies[to] == nil {
				p, err := proxy(fmt.Sprintf("%s:%d", to.peer, to.port))
				if err != nil {
					return "", heal, err
				}
				proxies[to] = p
			}
			if err := running(w.project.Divert(ctx, s, to.peer, to.port, proxies[to].addr())); err != nil {
				return "", heal, err
			}
		}
	}
	return fmt.Sprintf("%d proxies", len(proxies)), heal, nil
}

// directions returns the ways in which two nodes may be cut off from each other.
func directions() []compose.Rule { return []compose.Rule{{Out: true}, {In: true}, {}} }

func cutPair(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	one, err := w.node(dice)
	if err != nil {
		return "", nil, err
	}
	leads := serviceOf(w.watch.last().Leader)
	for _, other := range w.others(one) {
		if other != leads {
			rule := directions()[dice.IntN(3)]
			rule.Peer = w.ip(other)
			return w.cut(ctx, []string{one}, func(string) []compose.Rule { return []compose.Rule{rule} })
		}
	}
	return "", nil, errors.New("there are no two nodes that do not lead")
}

// pairHold is how long each cut of cutPairs lasts, and pairRest the pause after it.
const (
	pairHold = 4 * time.Second
	pairRest = 3 * time.Second
)

func cutPairs(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	nodes := w.running()
	heal := func(ctx context.Context) error { return w.healAll(ctx, nodes) }
	for i, one := range nodes {
		for _, other := range nodes[i+1:] {
			for _, rule := range directions() {
				rule.Peer = w.ip(other)
				if _, _, err := w.cut(ctx, []string{one}, func(string) []compose.Rule { return []compose.Rule{rule} }); err != nil {
					return "", heal, err
				}
				pass(ctx, pairHold)
				if err := running(w.project.Heal(ctx, one)); err != nil {
					return "", heal, err
				}
				pass(ctx, pairRest)
			}
		}
	}
	return fmt.Sprintf("each two of %s, in each direction and both, %v each", ids(nodes), pairHold), heal, ctx.Err()
}

func slowLink(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	s, err := w.node(dice)
	if err != nil {
		return "", nil, err
	}
	how, err := w.project.Slow(ctx, s)
	return nodeID(s) + ": " + how, func(ctx context.Context) error { return running(w.project.Hasten(ctx, s)) }, err
}
