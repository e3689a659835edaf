package remote_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/rpc"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/remote"
	"github.com/rollcallhq/rollcall/reconcile"
)

// nodeVariable makes the test binary a node that is driven over its standard input and output.
const nodeVariable = "ROLLCALL_REMOTE_TEST_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeVariable) == "" {
		os.Exit(m.Run())
	}
	server := rpc.NewServer()
	n := &Node{host: &host{}}
	if err := server.Register(n); err != nil {
		panic(err)
	}
	server.ServeConn(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout})
	if n.remote != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = n.remote.Stop(ctx)
	}
}

// Node is a node's process.
type Node struct {
	host   *host
	remote *remote.Remote
	epoch  atomic.Uint64
	logged logged
}

// Setup is a node's configuration. Its certificates are of the CA, each in PEM.
type Setup struct {
	Listen        string
	Epoch         uint64
	Acts          Behaviour
	Wait          time.Duration
	Limits        remote.Limits
	CA, Cert, Key []byte
}

// Behaviour is what a host does with each request.
type Behaviour struct {
	Fault    Fault
	Block    bool // until the request's context ends
	Panic    bool
	Takes    time.Duration
	Findings actors.Findings
	Tended   actors.Tended
	Names    int // this many rooms
}

// Request is an Event, a Batch, a Tending, or a look for names.
type Request struct {
	Addr    string
	Epoch   uint64
	Timeout time.Duration // 0 for none
	Cancel  bool          // once the peer has it at work, or after 100 ms
	Event   *reconcile.Event
	Batch   *actors.Batch
	Tending *actors.Tending
}

type Reply struct {
	Fault    Fault
	Took     time.Duration
	Findings actors.Findings
	Tended   actors.Tended
	Names    []string
}

type State struct {
	Came       []reconcile.Event
	Batches    []actors.Batch
	Tendings   []actors.Tending
	Working    int
	Most       int // working at once
	Left       time.Duration
	Goroutines int
	Log        []string
}

func (n *Node) Open(s Setup, addr *string) error {
	n.epoch.Store(s.Epoch)
	if err := n.Act(s.Acts, nil); err != nil {
		return err
	}
	c := remote.Config{Listen: s.Listen, Host: n.host, Epoch: n.epoch.Load, Log: slog.New(&n.logged), Wait: s.Wait, Limits: s.Limits}
	if s.Cert != nil {
		server, client := tlsOf(s)
		c.ServerTLS, c.ClientTLS = server, credentials.NewTLS(client)
	}
	r, err := remote.Open(c)
	if err != nil {
		return err
	}
	n.remote, *addr = r, r.Addr()
	return nil
}

func (n *Node) Act(b Behaviour, _ *bool) error {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	n.host.does = b
	return nil
}

func (n *Node) See(epoch uint64, _ *bool) error {
	n.epoch.Store(epoch)
	return nil
}

func (n *Node) State(_ bool, s *State) error {
	n.host.mu.Lock()
	*s = n.host.state
	n.host.mu.Unlock()
	s.Goroutines, s.Log = runtime.NumGoroutine(), n.logged.all()
	return nil
}

func (n *Node) Stop(patience time.Duration, f *Fault) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	*f = faultOf(n.remote.Stop(ctx))
	return nil
}

func (n *Node) Send(req Request, r *Reply) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if req.Timeout != 0 {
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	if req.Cancel {
		time.AfterFunc(100*time.Millisecond, cancel)
	}
	began, err := time.Now(), error(nil)
	switch peer := n.remote.Peer(req.Addr, req.Epoch); {
	case req.Event != nil:
		err = peer.Deliver(ctx, *req.Event)
	case req.Batch != nil:
		r.Findings, err = peer.Survey(ctx, *req.Batch)
	case req.Tending != nil:
		r.Tended, err = peer.Tend(ctx, *req.Tending)
	default:
		r.Names, err = peer.Names(ctx)
	}
	r.Fault, r.Took = faultOf(err), time.Since(began)
	return nil
}

// host is an actors.Owner that does as it is told.
type host struct {
	mu    sync.Mutex
	does  Behaviour
	state State
}

// work notes a request and does what is to be done with each.
func (h *host) work(ctx context.Context, note func(*State)) (Behaviour, error) {
	h.mu.Lock()
	does := h.does
	note(&h.state)
	if deadline, ok := ctx.Deadline(); ok {
		h.state.Left = time.Until(deadline)
	}
	h.state.Working++
	h.state.Most = max(h.state.Most, h.state.Working)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.state.Working--
	}()
	if does.Panic {
		panic("as it is told")
	}
	if does.Block {
		<-ctx.Done()
		return does, ctx.Err()
	}
	if does.Takes > 0 {
		select {
		case <-time.After(does.Takes):
		case <-ctx.Done():
		}
	}
	return does, does.Fault.err()
}

func (h *host) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := h.work(ctx, func(s *State) { s.Came = append(s.Came, e) })
	return err
}

func (h *host) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	does, err := h.work(ctx, func(s *State) { s.Batches = append(s.Batches, b) })
	return does.Findings, err
}

func (h *host) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	does, err := h.work(ctx, func(s *State) { s.Tendings = append(s.Tendings, t) })
	return does.Tended, err
}

func (h *host) Names(ctx context.Context) ([]string, error) {
	does, err := h.work(ctx, func(*State) {})
	return nameList(does.Names), err
}

// nameList has n names of rooms.
func nameList(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a-room-with-a-name-of-usual-length-%08d", i)
	}
	return names
}

// logged keeps what a node logs, of warnings on; with LOG set it shows all of it.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || os.Getenv("LOG") != ""
}

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	if os.Getenv("LOG") != "" {
		fmt.Fprintln(os.Stderr, os.Getpid(), r.Time.Format("05.000"), r.Level, line)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logged) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *logged) WithGroup(string) slog.Handler { return l }

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
