// Package daemon runs rollcall: it puts Redis, LiveKit, HTTP and metrics around a node. It starts them in an order that Start explains, and stops them in reverse,
// so that every webhook that is answered with 200 is in Redis.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/internal/tracing"
)

// Daemon is one running rollcall. Its parts are listed in the order in which they start; they stop in reverse order.
type Daemon struct {
	config   config.Config // as at the start
	current  current
	build    httpapi.Build
	log      *slog.Logger
	listener net.Listener
	debug    *http.Server    // nil without --debug-addr
	tracer   *tracing.Tracer // nil without --otlp-endpoint
	embedded *embedded       // nil with a Redis server
	store    *redisstore.Store
	stats    *stats
	redis    *redisstore.Health
	endRedis func() // ends what redis runs
	metrics  *metrics
	livekit  *livekit.Client
	node     *node.Node
	http     *httpapi.Server

	background sync.WaitGroup
	end        context.CancelFunc // of the background work
	failed     chan error         // an error that ends the daemon early

	serverTLS *tls.Config // between nodes, like clientTLS; nil without TLS
	clientTLS peerDialer
}

// Start starts everything and returns once the node listens; the node need not be ready. If it returns an error, it leaves
// nothing behind.
//
// The order: the HTTP port comes first, so that a port that is taken stops the start before anything else has happened.
// Redis and LiveKit come before the rooms, which use them. The API is made before the cluster is opened, because the leader's
// tasks begin at once and need everything else. It serves right after that: opening the cluster does not wait until the node has
// joined, so /readyz says meanwhile why the node is not ready.
func Start(ctx context.Context, c config.Config, build httpapi.Build, log *slog.Logger) (*Daemon, error) {
	n := &Daemon{config: c, build: build, log: log, failed: make(chan error, 1), current: current{config: c}}
	var err error
	if n.serverTLS, n.clientTLS, err = peerSecurity(c, log); err != nil {
		return nil, err
	}
	for _, start := range []func(context.Context) error{n.listen, n.openDebug, n.openTracing, n.openRedis, n.openMetrics, n.openLiveKit, n.openNode, n.openHTTP, n.openCluster} {
		if err := start(ctx); err != nil {
			n.abandon()
			return nil, err
		}
	}
	n.startBackground()
	go func() {
		if err := n.http.Serve(n.listener); err != nil {
			n.fail(err)
		}
	}()
	return n, nil
}

// Addr returns the address of the HTTP port.
func (n *Daemon) Addr() net.Addr { return n.listener.Addr() }

// ErrRemoved means that an operator has removed this node from the cluster.
var ErrRemoved = cluster.ErrRemoved

// Failed returns a channel with the reason why the daemon cannot continue, if one arises. The daemon does not stop by
// itself.
func (n *Daemon) Failed() <-chan error { return n.failed }

// Store returns the daemon's Redis store.
func (n *Daemon) Store() *redisstore.Store { return n.store }

// EmbeddedURL returns the URL of the embedded Redis, with its password, or "" with a Redis server.
func (n *Daemon) EmbeddedURL() string {
	if n.embedded == nil {
		return ""
	}
	return n.embedded.url()
}

// fail reports an error that ends the node. The first one counts.
func (n *Daemon) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// listen comes first, so that a port that is taken stops the start before anything else has happened.
func (n *Daemon) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.config.HTTPAddr)
	if err != nil {
		return PortTaken(err)
	}
	n.listener = l
	return nil
}

// PortTaken explains an error of listening on the HTTP port.
func PortTaken(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("--http-addr, %s: %w", config.EnvName("http-addr"), err)
	}
	return fmt.Errorf("--http-addr, %s: %w: another program has this port; stop it, or give another", config.EnvName("http-addr"), err)
}

func (n *Daemon) openRedis(ctx context.Context) error {
	name, err := n.config.PermanentNodeID()
	if err != nil {
		return err
	}
	target := n.config.Redis
	if target.Mode == config.RedisEmbedded {
		e, err := startEmbedded(n.config.EmbeddedAddr, n.config.EmbeddedPassword)
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
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := store.Ping(ctx); errors.Is(err, redisstore.ErrDenied) {
		return fmt.Errorf("--redis-url, REDIS_URL: %w (what the user must be allowed to do: docs/security.md)", err)
	}
	return nil
}

// writeEmbeddedURL writes the URL of the embedded Redis to a file and logs its path. The dev command has no data directory and
// prints the URL itself.
func (n *Daemon) writeEmbeddedURL() error {
	if n.embedded == nil || n.config.DataDir == "" {
		return nil
	}
	if err := n.embedded.writeURL(n.config.DataDir); err != nil {
		return err
	}
	n.log.Info("using the embedded Redis: its URL with the password is in url_file",
		"addr", n.embedded.server.Addr(), "url_file", n.embedded.file)
	return nil
}

func (n *Daemon) openMetrics(context.Context) error {
	n.metrics = newMetrics(prometheus.NewRegistry())
	n.metrics.built(n.build)
	n.metrics.configured(n.config)
	if peers, ok := n.clientTLS.(*peerClient); ok {
		n.metrics.registry.MustRegister(httpapi.CertificateExpiry("node", peers.pair))
	}
	n.metrics.registry.MustRegister(newShardMetrics(n.redis.Shards), newStoreMetrics(n.store.Stats))
	return nil
}

func (n *Daemon) openLiveKit(context.Context) (err error) {
	l := n.config.LiveKit
	n.livekit, err = livekit.New(livekit.Options{Host: l.Host, Key: l.APIKey, Secret: l.APISecret.Reveal(),
		Concurrency: l.Concurrency, Rate: l.Rate, Log: n.log, Observe: n.metrics.request, Contained: n.metrics.contained.Inc})
	if err != nil {
		return fmt.Errorf("--livekit-host, LIVEKIT_HOST: %w", err)
	}
	n.metrics.rate(n.livekit)
	return nil
}

func (n *Daemon) openNode(context.Context) error {
	id, err := n.config.PermanentNodeID()
	if err != nil {
		return err
	}
	c := n.config
	_, connections := connectionLimits(descriptors())
	place := cluster.Config{NodeID: id, DataDir: c.DataDir, NodeAddr: c.NodeAddr, NodeAdvertise: c.NodeAdvertise, HTTPAddr: n.httpAddr(),
		Version: n.build.Version, BootstrapExpect: c.BootstrapExpect, Join: c.Join, DeadAfter: c.DeadAfter, Insecure: c.Insecure,
		ServerTLS: n.serverTLS, MaxConns: connections, Required: mustAgree(c), Advisory: shouldAgree(c), Health: n.checkHealth, Logger: n.log}
	if n.clientTLS != nil {
		place.ClientTLS = n.clientTLS.config
	}
	n.node, err = node.New(n.traced(node.Config{Store: n.store, Rooms: n.livekit, Clock: actors.NewSystemClock(), Observer: observer{n.metrics, n.stats, n.store},
		Telemetry: n.metrics, Log: n.log, Contained: n.metrics.contained.Inc, Lag: c.LiveKitLag, SyncInterval: c.SyncInterval, CleanupInterval: c.CleanupInterval, StaleAfter: c.StaleAfter,
		Kinds: countedKinds(c), Ready: n.redis.Ready, CannotWrite: func() []string { return cannotWrite(n.redis.Shards()) },
		Housekeeping: n.store.RepairScores, Cluster: place}))
	if err != nil {
		return err
	}
	n.metrics.observe(n.node)
	if n.node.Peers != nil {
		n.metrics.relays(n.node.Peers)
	}
	return nil
}

func (n *Daemon) openHTTP(context.Context) error {
	keys, err := newSigningKeys(n.config.LiveKit)
	if err != nil {
		return err
	}
	id, err := n.config.PermanentNodeID()
	if err != nil {
		return err
	}
	n.current.keys.Store(keys)
	connections, _ := connectionLimits(descriptors())
	health := health{n.node, n.redis}
	n.http, err = httpapi.New(httpapi.Config{AdminToken: n.config.AdminToken.Reveal(), MetricsPublic: n.config.MetricsPublic,
		CORSOrigins: n.config.CORSOrigins, Lost: func(int) { n.node.WebhooksLost() },
		TLSCert: n.config.HTTPTLS.CertFile, TLSKey: n.config.HTTPTLS.KeyFile, Log: n.log, Registry: n.metrics.registry,
		Limits: httpapi.Limits{Connections: connections},
		Build:  n.build, Node: id},
		httpapi.Ports{Verifier: webhookVerifier{&n.current.keys}, Deliverer: n.deliverer(), Admin: admin{n.node},
			Cluster: members{n.node}, Reader: reader{n.store}, Tokens: tokenVerifier{&n.current.keys}, Health: health,
			History: reader{n.store}, LiveKit: livekitRooms{n.livekit}, Meter: n.stats, Live: live{n.store, n.node, health}, Reloader: reloader{n}})
	return err
}

// openCluster joins the cluster or starts it. From then on this process owns the data directory.
func (n *Daemon) openCluster(ctx context.Context) error {
	if err := n.node.Open(ctx); err != nil {
		return err
	}
	return n.writeEmbeddedURL()
}

// abandon undoes a start that failed halfway.
func (n *Daemon) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if n.listener != nil {
		_ = n.listener.Close()
	}
	_ = n.close(ctx) // the error of the start says more
}

const (
	// stopWithin limits a stop, not counting the drain delay.
	stopWithin = 8 * time.Second
	// answerWithin is the part of it for HTTP: a webhook takes 5 s at most, and a client that reads slowly must not use up
	// the time that the view and the rooms need.
	answerWithin = 6 * time.Second
)

// Stop drains the node. It reports that on /readyz while it still serves, then accepts no more webhooks, answers those that
// it has, ends the leader's work, leaves the view, lets the rooms finish, and closes everything else.
func (n *Daemon) Stop() error {
	n.http.Drain()
	delay := n.current.end().DrainDelay
	n.log.Info("draining", "delay", delay)
	time.Sleep(delay)
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	answers, done := context.WithTimeout(ctx, answerWithin)
	defer done()
	err := n.http.Shutdown(answers)
	return errors.Join(err, n.close(ctx))
}

func (n *Daemon) close(ctx context.Context) error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	if n.end != nil {
		n.end()
		note(within(ctx, "the work in the background", func() error { n.background.Wait(); return nil }))
	}
	if n.node != nil {
		note(n.node.Stop(ctx))
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
	n.closeTracing(ctx)
	if n.debug != nil {
		_ = n.debug.Close() // a profile that is still being taken is cut
	}
	return errors.Join(errs...)
}

// within limits a call that takes no context: a Redis that hangs must not delay the stop.
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
