package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/internal/rpc"
)

// syncJitter spreads the syncs, so that those of several clusters do not hit one LiveKit in step.
const syncJitter = 0.1

// countSpacing is the part of the sync interval that lies at least between two cycles that count for the breaker: the shortest
// that the jitter makes.
const countSpacing = 1 - syncJitter

// daemon is one running rollcall. Its parts stand in the order in which they start; they stop in reverse.
type daemon struct {
	config   Config
	log      *slog.Logger
	embedded *embedded // nil with a Redis of its own
	store    *redisstore.Store
	redis    *redisstore.Health
	endRedis func() // ends what redis runs
	livekit  *livekit.Client
	meters   *meters
	stats    *stats
	own      *ownership
	host     *actors.Host
	router   *actors.Router
	admin    *admin
	members  *members
	peers    *rpc.Peers // nil for a node that is alone
	http     *httpapi.Server
	listener net.Listener
	cluster  *cluster.Node
	chores   sync.WaitGroup
	refusals chan refusal       // the last refused claim that is to be looked into
	end      context.CancelFunc // of the chores
	failed   chan error         // what ends the node before its time
	lost     chan struct{}      // LiveKit has dropped webhooks

	serverTLS *tls.Config // between nodes, as is clientTLS; nil without
	clientTLS peerDialer
}

// startDaemon starts everything and returns once the node listens; it need not be ready. On an error nothing is left.
func startDaemon(ctx context.Context, c Config, log *slog.Logger) (*daemon, error) {
	n := &daemon{config: c, log: log, own: newOwnership(), failed: make(chan error, 1), lost: make(chan struct{}, 1),
		refusals: make(chan refusal, 1)}
	var err error
	if n.serverTLS, n.clientTLS, err = peerSecurity(c, log); err != nil {
		return nil, err
	}
	for _, start := range []func(context.Context) error{n.listen, n.openRedis, n.openLiveKit, n.openRooms,
		n.openPeers, n.openHTTP, n.openCluster} {
		if err := start(ctx); err != nil {
			n.abandon()
			return nil, err
		}
	}
	if err := n.tellEmbedded(); err != nil {
		n.abandon()
		return nil, err
	}
	n.startChores()
	go func() {
		if err := n.http.Serve(n.listener); err != nil {
			n.fail(err)
		}
	}()
	return n, nil
}

// fail ends the node, for the first reason that there is.
func (n *daemon) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// listen comes first: a port that is taken should stop the start before anything else happened.
func (n *daemon) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.config.HTTPAddr)
	if err != nil {
		return portTaken(err)
	}
	n.listener = l
	return nil
}

func portTaken(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("--http-addr, %s: %w", envName("http-addr"), err)
	}
	return fmt.Errorf("--http-addr, %s: %w: another program has this port; stop it, or give another", envName("http-addr"), err)
}

func (n *daemon) openRedis(ctx context.Context) error {
	name, err := n.name()
	if err != nil {
		return err
	}
	target := n.config.Redis
	if target.Mode == RedisEmbedded {
		e, err := startEmbedded("127.0.0.1:0")
		if err != nil {
			return err
		}
		n.embedded = e
		target = e.target()
	}
	store, err := openStore(n.config, target, name, n.log)
	if err != nil {
		return err
	}
	n.store, n.stats = store, newStats(name, time.Now)
	n.watchRedis(target)
	ctx, cancel := context.WithTimeout(ctx, choreTimeout)
	defer cancel()
	if err := store.Ping(ctx); errors.Is(err, redisstore.ErrDenied) {
		return fmt.Errorf("--redis-url, REDIS_URL: %w: check its user and password, and what Redis' ACL lets that user do (docs/security.md)", err)
	}
	return nil
}

// tellEmbedded says where the URL of the embedded Redis is. It comes after the cluster, which has locked the data directory. dev has no directory and
// prints the URL itself.
func (n *daemon) tellEmbedded() error {
	if n.embedded == nil || n.config.DataDir == "" {
		return nil
	}
	if err := n.embedded.writeURL(n.config.DataDir); err != nil {
		return err
	}
	n.log.Warn("no --redis-url: using an embedded Redis in memory; it is empty after a restart, and its URL with the password is in url_file",
		"addr", n.embedded.server.Addr(), "url_file", n.embedded.file)
	return nil
}

func (n *daemon) openLiveKit(context.Context) (err error) {
	registry := prometheus.NewRegistry()
	n.meters = newMeters(registry)
	n.meters.observe(n.own)
	n.meters.registry.MustRegister(shardMetrics{n.redis})
	l := n.config.LiveKit
	n.livekit, err = livekit.New(livekit.Options{Host: l.Host, Key: l.APIKey, Secret: l.APISecret.Reveal(),
		Concurrency: l.Concurrency, Rate: l.Rate, Log: n.log, Observe: n.meters.request})
	if err != nil {
		return fmt.Errorf("--livekit-host, LIVEKIT_HOST: %w", err)
	}
	return nil
}

func (n *daemon) openRooms(context.Context) (err error) {
	clock := actors.NewSystemClock()
	rooms := n.livekit
	n.host, err = actors.NewHost(actors.HostConfig{Store: &claims{Store: n.store, refusals: n.refusals}, Rooms: rooms, Ownership: n.own, Clock: clock,
		Observer: witness{n.meters, n.stats, n.store}, Index: n.store, Log: n.log, Lag: n.config.LiveKitLag})
	if err != nil {
		return err
	}
	n.router = actors.NewRouter(n.own, n.peer)
	sweep := actors.NewSweep(actors.SweepConfig{Rooms: rooms, Index: n.store, Router: n.router, Clock: clock, Log: n.log,
		StaleAfter: n.config.StaleAfter, Held: n.own.held, Counts: n.counts, Housekeeping: n.housekeeping,
		Slow: func(kind string) { n.meters.slow.WithLabelValues(kind).Set(1) }})
	n.admin = &admin{own: n.own, sweep: sweep, meters: n.meters, store: n.store, log: n.log, every: map[string]time.Duration{
		taskSync: n.config.SyncInterval, taskCleanup: n.config.CleanupInterval}}
	n.members = &members{admin: n.admin, health: health{n.own, n.redis}, rooms: n.meters.actors}
	return nil
}

// openPeers makes the way to the rooms of other nodes, and theirs to the rooms here. A node that is alone has none.
func (n *daemon) openPeers(context.Context) error {
	if n.config.NodeAddr == "" {
		return nil
	}
	id, err := n.name()
	if err != nil {
		return err
	}
	n.peers = rpc.New(rpc.Config{Node: id, Host: n.host, Epoch: n.own.Epoch, Owner: n.own.Owner, Members: n.own.Members, Leader: n.own.LeaderName,
		Dial: n.dialPeer, Log: n.log})
	n.members.peers, n.router.Relay = n.peers, n.peers.Relay
	n.meters.relays(n.peers)
	return nil
}

func (n *daemon) dialPeer(ctx context.Context, addr string) (net.Conn, error) {
	node, ok := n.own.cluster()
	if !ok {
		return nil, cluster.ErrNotJoined
	}
	return node.DialRPC(ctx, addr)
}

func (n *daemon) openHTTP(context.Context) error {
	keys := n.config.LiveKit.plain()
	verifier, err := livekit.NewVerifier(keys)
	if err != nil {
		return fmt.Errorf("--livekit-keys, LIVEKIT_KEYS: %w", err)
	}
	tokens, err := livekit.NewTokens(map[string]string{n.config.LiveKit.APIKey: n.config.LiveKit.APISecret.Reveal()})
	if err != nil {
		return fmt.Errorf("--livekit-api-key, LIVEKIT_API_KEY: %w", err)
	}
	v := buildVersion()
	connections, _ := connectionLimits(descriptors())
	n.http, err = httpapi.New(httpapi.Config{AdminToken: n.config.AdminToken.Reveal(), MetricsPublic: n.config.MetricsPublic,
		CORSOrigins: n.config.CORSOrigins, Lost: n.tellLoss,
		TLSCert: n.config.HTTPTLS.CertFile, TLSKey: n.config.HTTPTLS.KeyFile, Log: n.log, Registry: n.meters.registry,
		Limits: httpapi.Limits{Connections: connections},
		Build:  httpapi.Build{Version: v.Version, Commit: v.Commit, Go: v.Go}},
		httpapi.Ports{Verifier: webhookVerifier{verifier}, Deliverer: counted{deliverer{n.router}, n.stats}, Admin: n.admin,
			Cluster: n.members, Reader: reader{n.store}, Tokens: tokenVerifier{tokens}, Health: n.members.health,
			History: reader{n.store}, LiveKit: livekitRooms{n.livekit}, Meter: n.stats, Live: live{n.store, n.own}})
	return err
}

// generation is ours while this Redis has seen no later one. A new cluster's, and that of a node that starts after another
// rollcall was founded on its Redis, is above all.
func (n *daemon) generation(ctx context.Context, ours uint64) (uint64, error) {
	stored, err := n.store.Generation(ctx)
	if err != nil {
		return 0, err
	}
	if ours != 0 && stored <= ours {
		return ours, nil
	}
	if ours != 0 {
		n.log.Warn("another rollcall was founded on this Redis since; this node takes its rooms over. If the other still runs, stop it")
	}
	return max(stored+1, uint64(time.Now().UnixMilli())), nil
}

func (n *daemon) tasks() []cluster.Task {
	run := func(name string, every time.Duration, atOnce bool, cycle cycle) cluster.Task {
		return cluster.Task{Name: name, Every: every, Jitter: syncJitter, AtOnce: atOnce, Enabled: fsm.State.Running,
			Run: func(ctx context.Context, term cluster.Term) error {
				if err := n.own.wait(ctx); err != nil {
					return err
				}
				_, err := cycle(ctx, term, actors.Options{Scheduled: true})
				return err
			}}
	}
	return []cluster.Task{
		run(taskSync, n.config.SyncInterval, true, n.admin.runSync),
		run(taskCleanup, n.config.CleanupInterval, false, n.admin.runCleanup),
	}
}

// abandon undoes a start that failed half way.
func (n *daemon) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if n.listener != nil {
		_ = n.listener.Close()
	}
	_ = n.close(ctx) // the start's own error tells more
}

const (
	// stopWithin bounds a stop, drain delay not counted.
	stopWithin = 8 * time.Second
	// answerWithin is HTTP's part of it: a webhook takes 5 s at most, and a client that reads slowly must not take what the
	// view and the rooms need.
	answerWithin = 6 * time.Second
)

// linger is how long the node stays after its last room, for answers that are still on their way.
const linger = 500 * time.Millisecond

// stop drains the node: it says so on /readyz while it still serves, takes no more webhooks, answers those that it has,
// ends the leader's work, leaves the view, lets the rooms finish, and closes what is left.
func (n *daemon) stop() error {
	n.http.Drain()
	n.log.Info("draining", "delay", n.config.DrainDelay)
	time.Sleep(n.config.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	answers, done := context.WithTimeout(ctx, answerWithin)
	defer done()
	err := n.http.Shutdown(answers)
	return errors.Join(err, n.close(ctx))
}

func (n *daemon) close(ctx context.Context) error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	if n.end != nil {
		n.end()
		note(within(ctx, "the chores", func() error { n.chores.Wait(); return nil }))
	}
	if n.cluster != nil {
		note(n.cluster.Leave(ctx))
	}
	if n.host != nil {
		note(n.host.Stop(ctx))
	}
	if n.cluster != nil {
		time.Sleep(linger)
	}
	if n.peers != nil {
		note(n.peers.Stop(ctx))
	}
	if n.cluster != nil {
		note(n.cluster.Close(ctx))
	}
	if n.livekit != nil {
		n.livekit.Close()
	}
	if n.endRedis != nil {
		n.endRedis()
	}
	if n.store != nil {
		note(within(ctx, "the connections to Redis", n.store.Close))
	}
	if n.embedded != nil {
		n.embedded.stop()
	}
	return errors.Join(errs...)
}

// within waits for what knows no context: a Redis that hangs must not hold up the end.
func within(ctx context.Context, what string, end func() error) error {
	done := make(chan error, 1)
	go func() { done <- end() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s did not end in time: %w", what, ctx.Err())
	}
}
