package httpapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/internal/certfile"
	"github.com/rollcallhq/rollcall/internal/httpapi/web"
	"github.com/rollcallhq/rollcall/internal/wait"
)

// Config configures a Server, apart from its ports. Log and Registry are required.
type Config struct {
	// AdminToken may do everything. Without one, callers on this machine may.
	AdminToken string
	// MetricsPublic opens /metrics; otherwise it is a read.
	MetricsPublic bool
	// CORSOrigins are the origins (scheme://host[:port], as browsers write them) of other sites whose pages may call the
	// API. They always need a token.
	CORSOrigins []string
	// TLSCert and TLSKey are PEM files, both or neither. They are read again when they change.
	TLSCert, TLSKey string
	// Lost, if set, is called with the number of events that LiveKit has dropped. It must not block.
	Lost  func(events int)
	Build Build
	// Node is this node's name, for the audit log.
	Node     string
	Log      *slog.Logger
	Registry *prometheus.Registry
	Limits   Limits
}

// Limits limit what callers may take. A zero field takes its default.
type Limits struct {
	// Connections is how many may be open at once (512). One more replaces one that is not being answered.
	Connections int
	// Webhooks is how many may be in flight (4,096); one more gets 503 at once.
	Webhooks int
	// BodyBytes is how many bytes of webhook bodies may be in memory at once (64 MiB); more gets 503.
	BodyBytes int64
	// Deliver is the time from a webhook's receipt to its answer, including the reading of its body (5 s). Other bodies have
	// the same time.
	Deliver time.Duration
	// Actions is how many actions may run or wait on this node (16), Action how long each may take (15 min).
	Actions int
	Action  time.Duration
	// Read is how long it may take to build an answer from Redis (5 s), Write how long the client may take to fetch it (1
	// min).
	Read, Write time.Duration
	// Watchers is how many streams of events may be open (64), Watch how long each lasts before the watcher must connect
	// again (1 h), and Heartbeat how often it sends something (15 s), which is also how long a write to it may take.
	Watchers         int
	Watch, Heartbeat time.Duration
	// CallerWatchers is how many of those streams one caller may have (8). The admin and local programs have no such limit.
	CallerWatchers int
	// Looks is how many requests may ask LiveKit at once (4), one of each caller.
	Looks int
	// Replays is how many streams may read what they missed at once (4), one of each caller; more wait, for as long as Read.
	Replays int
	// AnswerBytes is how much memory answers may take, from before they are read from Redis until they are written (64 MiB),
	// and CallerBytes how much of it the answers to one caller (32 MiB); more gets 503. CallerBytes does not apply to the
	// admin and local programs.
	AnswerBytes, CallerBytes int64
	// WaitingBytes is how many bytes of events may wait for all watchers together (32 MiB); the watcher with the most is cut
	// off.
	WaitingBytes int64
	// Stall is how long a caller may take for 32 KiB of an answer (10 s).
	Stall time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Webhooks = cmp.Or(l.Webhooks, 4096)
	l.BodyBytes = cmp.Or(l.BodyBytes, 64<<20)
	l.Deliver = cmp.Or(l.Deliver, 5*time.Second)
	l.Actions = cmp.Or(l.Actions, 16)
	l.Action = cmp.Or(l.Action, 15*time.Minute)
	l.Read = cmp.Or(l.Read, 5*time.Second)
	l.Write = cmp.Or(l.Write, time.Minute)
	l.Watchers = cmp.Or(l.Watchers, 64)
	l.Watch = cmp.Or(l.Watch, time.Hour)
	l.Heartbeat = cmp.Or(l.Heartbeat, 15*time.Second)
	l.CallerWatchers = cmp.Or(l.CallerWatchers, 8)
	l.Looks = cmp.Or(l.Looks, 4)
	l.Replays = cmp.Or(l.Replays, 4)
	l.AnswerBytes = cmp.Or(l.AnswerBytes, 64<<20)
	l.CallerBytes = cmp.Or(l.CallerBytes, 32<<20)
	l.WaitingBytes = cmp.Or(l.WaitingBytes, 32<<20)
	l.Stall = cmp.Or(l.Stall, 10*time.Second)
	return l
}

// For a connection: the time for its headers, the time it may idle, and the size of its headers (a token and a name of 256
// characters, each encoded, and some more).
const (
	headerTimeout  = 5 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Server serves the API on listeners that the caller opens.
type Server struct {
	api   *api
	http  *http.Server
	conns *connections
	tls   bool
}

// New makes a Server and registers its metrics. Errors: a port, the log or the registry is missing; the certificate cannot
// be read; the metrics are registered already.
func New(cfg Config, ports Ports) (*Server, error) {
	if cfg.Log == nil || cfg.Registry == nil || !ports.complete() {
		return nil, errors.New("httpapi: Log, Registry and all Ports must be set")
	}
	a, err := newAPI(cfg, ports)
	if err != nil {
		return nil, err
	}
	conns := newConnections(cfg.Limits.Connections, cfg.Log)
	conns.grace, conns.early, conns.crowded = connGrace, a.early, a.hooks.slots.isCrowded
	if conns.closed, err = connectionMetrics(cfg.Registry, conns); err != nil {
		return nil, err
	}
	s := &Server{api: a, conns: conns, http: &http.Server{
		Handler:           counting(a),
		ConnContext:       withConn,
		ConnState:         noteState,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}}
	if cfg.TLSCert == "" && cfg.TLSKey == "" {
		return s, nil
	}
	pair, err := certfile.Pair(cfg.TLSCert, cfg.TLSKey, cfg.Log)
	if err != nil {
		return nil, err
	}
	if err := register(cfg.Registry, CertificateExpiry("http", pair)); err != nil {
		return nil, err
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil }
	conns.grace = tlsGrace
	s.tls, s.http.TLSConfig = true, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
	return s, boundHTTP2(s.http)
}

func newAPI(cfg Config, ports Ports) (*api, error) {
	limits := cfg.Limits.withDefaults()
	files, err := web.New()
	if err != nil {
		return nil, err
	}
	a := &api{ports: ports, limits: limits, log: cfg.Log, build: cfg.Build, files: files,
		access:  newAccess(cfg.AdminToken, ports, cfg.CORSOrigins),
		actions: newActions(limits.Actions, limits.Action), audits: newAuditLog(cfg.Log, cfg.Node), drain: &drain{}, hub: newHub(ports.Live, limits.WaitingBytes, cfg.Log),
		answers: newQuota(limits.AnswerBytes, limits.CallerBytes), looks: newQuota(int64(limits.Looks), 1),
		watching: newQuota(int64(limits.Watchers), int64(limits.CallerWatchers)), replays: newQuota(int64(limits.Replays), 1)}
	a.hooks = &webhooks{verifier: ports.Verifier, deliverer: ports.Deliverer, within: limits.Deliver, by: wait.NewDeadlines(context.Background()),
		slots: adaptiveSemaphore{limit: int64(limits.Webhooks), queue: processorQueue()}, refusals: make(chan struct{}, refusalsAtOnce), bytes: &bodyMemory{limit: limits.BodyBytes}, heavy: newHeavy(limits.BodyBytes),
		log: cfg.Log, lost: cfg.Lost}
	m, err := newMetrics(cfg.Registry, &a.hooks.slots, a.hooks.bytes)
	if err != nil {
		return nil, err
	}
	a.metrics, a.hooks.metrics, a.actions.panicked = m, m, m.panics.Inc
	a.routes = a.makeRoutes(cfg.MetricsPublic)
	m.begin(a.routes.patterns())
	return a, streamMetrics(cfg.Registry, a.hub, limits.Watchers)
}

// Serve answers on l until Shutdown and then returns nil. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	var err error
	l = &limited{Listener: l, all: s.conns}
	if s.tls {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
}

// SetAccess changes Config.AdminToken and Config.CORSOrigins for the requests from now on. Streams of events that are open stay open.
func (s *Server) SetAccess(adminToken string, corsOrigins []string) {
	s.api.access.set(adminToken, corsOrigins)
}

// Drain makes /readyz answer 503 while everything else is served as before. It cannot be undone.
func (s *Server) Drain() { s.api.drain.on.Store(true) }

// Shutdown stops accepting, ends the operators' actions and the streams of events, and waits for the requests in flight;
// webhooks among them are answered within Limits.Deliver. If ctx ends first, the connections are cut and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.api.actions.stop()
	s.api.hub.close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	err = errors.Join(err, s.conns.awaitEarly(ctx))
	s.api.hub.readers.Wait() // they end at once
	if err := errors.Join(err, s.api.actions.wait(ctx)); err != nil {
		return fmt.Errorf("shut the HTTP server down: %w", err)
	}
	return nil
}
