// Package clusterkit runs a real cluster on loopback: several `rollcall serve` processes, a redis-server, a fake LiveKit whose
// webhooks reach them through a balancer, and steady traffic. Afterwards it checks that everything was correct. Nothing that it
// starts outlives the test. It judges by what Redis, LiveKit and each webhook's sender saw.
package clusterkit

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// patience limits waits that take a second or two on an idle machine. The machine that runs tests is never idle.
const patience = time.Minute

// Options configure a cluster. Binary is required.
type Options struct {
	// Binary is the path of a rollcall.
	Binary string
	// Nodes is the number of nodes that bootstrap the cluster, named n1 and on; default 3.
	Nodes int
	// SyncInterval is --sync-interval. Default 1h, so that only those syncs run that a new leader begins or a test asks for.
	SyncInterval string
	// Flags are additional flags of every node, FlagsOf those of one node, by its id.
	Flags   []string
	FlagsOf func(id string) []string
	// Env is added to the environment of every node.
	Env []string
	// LogLevel is --log-level; default info.
	LogLevel string
}

// Cluster is the whole setup. Its methods fail the test on errors, and must be called from one goroutine at a time.
type Cluster struct {
	// Nodes holds all nodes that were made, in that order, whether they run or not.
	Nodes    []*nodetest.Node
	Redis    *redistest.Server
	LiveKit  *fakelivekit.Fake
	Balancer *Balancer
	// Ledger records what the sender does with every webhook.
	Ledger *Ledger

	t       testing.TB
	opts    Options
	api     *httptest.Server // LiveKit's API
	witness *Witness
	join    []string // node addresses of the first nodes
}

// New returns a cluster without starting its nodes.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	o.Nodes, o.SyncInterval, o.LogLevel = cmp.Or(o.Nodes, 3), cmp.Or(o.SyncInterval, "1h"), cmp.Or(o.LogLevel, "info")
	logging.Disable()
	c := &Cluster{t: t, opts: o, Redis: redistest.Start(t), Balancer: NewBalancer(t), Ledger: NewLedger()}
	c.witness = watchRedis(t, c.Redis)
	// Only the traffic ends rooms, so that the truth stands still when the traffic does.
	c.LiveKit = fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{c.Balancer.URL() + "/api/livekit-webhook"},
		Transport: c.Ledger, EmptyTimeout: 1 << 20, DepartureTimeout: 1 << 20})
	t.Cleanup(c.LiveKit.Close)
	c.api = httptest.NewServer(c.LiveKit)
	t.Cleanup(c.api.Close)
	addrs := freeaddr.ForTest(t, 2*o.Nodes)
	for i := range o.Nodes {
		c.join = append(c.join, addrs[2*i])
	}
	for i := range o.Nodes {
		c.add(addrs[2*i:2*i+2], o.Nodes)
	}
	return c
}

// Start starts a cluster, and returns when all its nodes are ready and the first sync is done.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := New(t, o)
	c.Found()
	return c
}

// Found starts the first nodes, and returns when all are ready and the first sync is done.
func (c *Cluster) Found() {
	c.t.Helper()
	begun := time.Now()
	for _, n := range c.Nodes {
		n.Start()
	}
	for _, n := range c.Nodes {
		n.AwaitReady()
	}
	c.AwaitView(c.Others("")...)
	c.AwaitSync(begun)
	c.AwaitBalancer()
}

// AwaitBalancer waits until the balancer sends requests to every awake node.
func (c *Cluster) AwaitBalancer() {
	c.t.Helper()
	c.Await("the balancer has seen that all are ready", func() error {
		if got, want := len(c.Balancer.Ready()), len(c.Awake()); got != want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// Make returns one more node, which will join the running cluster, without starting it.
func (c *Cluster) Make() *nodetest.Node {
	c.t.Helper()
	return c.add(freeaddr.ForTest(c.t, 2), 1)
}

// Add starts one more node, which joins the running cluster, and returns when it is ready.
func (c *Cluster) Add() *nodetest.Node {
	c.t.Helper()
	n := c.Make()
	n.Up()
	return n
}

// NodeAddrEnv is the variable that holds the node address in a Node's Env.
const NodeAddrEnv = "ROLLCALL_NODE_ADDR"

// add adds a node with the given node and HTTP address.
func (c *Cluster) add(addrs []string, expect int) *nodetest.Node {
	c.t.Helper()
	id := fmt.Sprintf("n%d", len(c.Nodes)+1)
	flags := []string{fmt.Sprintf("--bootstrap-expect=%d", expect),
		"--drain-delay=1s", "--sync-interval=" + c.opts.SyncInterval, "--stale-after=24h", "--cleanup-interval=23h",
		"--log-level=" + c.opts.LogLevel}
	if expect > 1 || len(c.Nodes) > 0 {
		flags = append(flags, "--join="+strings.Join(c.join, ","))
	}
	flags = append(flags, c.opts.Flags...)
	if c.opts.FlagsOf != nil {
		flags = append(flags, c.opts.FlagsOf(id)...)
	}
	n := nodetest.New(c.t, nodetest.Options{Binary: c.opts.Binary, ID: id, HTTPAddr: addrs[1], Flags: flags,
		Env: append(append(fakelivekit.Env(c.api.URL), "REDIS_URL="+c.Redis.URL(), NodeAddrEnv+"="+addrs[0]), c.opts.Env...)})
	c.Nodes = append(c.Nodes, n)
	c.Balancer.Add(n.URL())
	return n
}

// Node returns the node with that id.
func (c *Cluster) Node(id string) *nodetest.Node {
	c.t.Helper()
	for _, n := range c.Nodes {
		if n.ID == id {
			return n
		}
	}
	c.t.Fatalf("there is no node %q", id)
	return nil
}

// Awake returns the nodes that run and are not paused.
func (c *Cluster) Awake() []*nodetest.Node {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(n *nodetest.Node) bool { return !n.Runs() || n.Paused() })
}

// Starved reports whether a leader lost its quorum although the test had done nothing to it. Then the machine gave the nodes no
// processor for longer than raft tolerates, and promises about what needs only some nodes cannot be checked.
func (c *Cluster) Starved() bool {
	return slices.ContainsFunc(c.Nodes, func(n *nodetest.Node) bool {
		return bytes.Contains(n.Output(), []byte("failed to contact quorum of nodes, stepping down"))
	})
}

// CheckLogs fails the test if any node's log contains what no run may log.
func (c *Cluster) CheckLogs() {
	c.t.Helper()
	for _, n := range c.Nodes {
		n.CheckLog()
	}
}

// ctx returns a context that limits one request, with enough time for a busy machine.
func (c *Cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// httpClient returns a client that keeps no connections, because nodes come and go.
func httpClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
}
