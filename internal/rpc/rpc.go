// Package rpc carries requests between nodes: one gRPC service, over connections that the node port hands over.
//
// Each node keeps one stream to each peer that it asks. A batch holds the requests that gathered while the last batch was
// being sent, and the answers come back on the same stream, in the same way. A request is answered, or fails with one of
// actors' errors by its deadline. A request that may have been lost is sent again before the deadline. Rooms allow for that:
// a known event changes nothing.
//
// A stream that carries nothing back for a second and a half while answers are due is given up. An event that cannot reach
// its room's owner then goes once through another node, the leader if it can be: raft has no connection between two
// followers, so nothing else notices a cut between them.
package rpc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
)

// Config configures Peers.
type Config struct {
	// Node is this node's name.
	Node string
	// Dial opens a connection to the RPC side of the node port at an address. It is encrypted where nodes use TLS.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Host does the work on the rooms of this node.
	Host actors.Owner
	// Epoch returns the epoch of the current view.
	Epoch func() uint64
	// Owner returns the place that owns a room in the current view. Members returns all places of that view.
	Owner   func(room string) (actors.Place, error)
	Members func() []actors.Place
	// Leader returns the name of the node that leads; empty while none does.
	Leader func() string
	Log    *slog.Logger
	// Contained, if not nil, is called for each panic that ended a request of another node.
	Contained func()
	// Inject returns the trace that ctx belongs to, as other nodes read it. Extract returns a ctx that belongs to such a trace.
	// Both or neither are set; without them requests carry no trace.
	Inject  func(ctx context.Context) []byte
	Extract func(ctx context.Context, trace []byte) context.Context
	// Wait is how long a request is tried again while its node cannot be reached, within its deadline. Usually the view is
	// about to change, and the caller then asks the room's next owner. The default is 2.5 s; negative means a single attempt.
	Wait   time.Duration
	Limits Limits
}

// Limits are the limits of the requests under way. Beyond them a request fails with actors.ErrBusy. Long work (surveys,
// cleanups, lists of names) is limited separately, so that a sync cannot crowd out webhooks. A zero field means its default.
type Limits struct {
	// Events to one peer, by default 2048, and from all peers together, by default 4096.
	EventsOut, EventsIn int
	// Long work for one peer, by default 16, and from all peers together, by default 64.
	WorkOut, WorkIn int
	// Bytes is the maximum size of a request or an answer. It must be the same on all nodes. The default is 64 MiB, twice what 100,000
	// of the longest names take.
	Bytes int
}

// Peers sends this node's requests to the other nodes and answers theirs.
type Peers struct {
	cfg    Config
	server *grpc.Server
	events *semaphore // events of peers that are being worked on
	work   *semaphore
	life   context.Context // ends with Stop
	by     *wait.Deadlines // of the peers' requests
	end    context.CancelFunc
	drain  chan struct{} // closed when the last request of the peers has been worked on
	stop   sync.Once

	relayed atomic.Uint64 // events sent through another node

	mu    sync.Mutex
	links map[string]*link // by address
}

// New returns Peers that answer once Serve is called. The caller must call Stop.
func New(cfg Config) *Peers {
	cfg.Wait = cmp.Or(cfg.Wait, 2500*time.Millisecond)
	l := &cfg.Limits
	l.EventsOut, l.EventsIn, l.WorkOut, l.WorkIn = cmp.Or(l.EventsOut, 2048), cmp.Or(l.EventsIn, 4096), cmp.Or(l.WorkOut, 16), cmp.Or(l.WorkIn, 64)
	l.Bytes = cmp.Or(l.Bytes, 64<<20)
	p := &Peers{cfg: cfg, events: newSemaphore(l.EventsIn), work: newSemaphore(l.WorkIn), drain: make(chan struct{}), links: map[string]*link{}}
	p.life, p.end = context.WithCancel(context.Background())
	p.by = wait.NewDeadlines(p.life)
	p.server = grpc.NewServer(serverOptions(l.Bytes)...)
	p.server.RegisterService(service(), p)
	return p
}

// Serve answers the nodes that connect to l, until l is closed or Stop is called.
func (p *Peers) Serve(l net.Listener) error {
	err := p.server.Serve(l)
	if p.life.Err() != nil || errors.Is(err, net.ErrClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Peer returns the node at a place, which must have an address. It is cheap to call. The node refuses requests, with a
// NotOwner, while its view is older than the place's. Besides the node's own errors, calls return ErrBusy when too many are
// under way, and ErrUnavailable when the node cannot be reached within Config.Wait or ctx ends. If ctx has no deadline, an
// event or a list of names ends after 5 s, other work after 5 min.
func (p *Peers) Peer(place actors.Place) actors.Owner { return &peer{p, place} }

// Reach returns nil if the node at addr answers over its stream. It opens the stream if needed.
func (p *Peers) Reach(ctx context.Context, addr string) error {
	s, err := p.link(addr).session(ctx, true)
	if err != nil {
		return err
	}
	return s.ping(ctx)
}

// link returns this node's link to an address. When it makes a new link, it removes links that have been down for a while.
func (p *Peers) link(addr string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[addr]
	if l == nil {
		for old, other := range p.links {
			if other.forgotten() {
				delete(p.links, old)
			}
		}
		l = newLink(p, addr)
		p.links[addr] = l
	}
	l.used = time.Now()
	return l
}

func (p *Peers) allLinks() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.links))
}

// closeTimeout limits how long streams may take to end once their last answers are due. That takes milliseconds, unless a peer is
// paused.
const closeTimeout = 2 * time.Second

// Stop refuses new requests, waits for those under way in both directions and for their answers to be sent, and closes all
// connections. When ctx ends first it cuts off the rest and returns an error.
func (p *Peers) Stop(ctx context.Context) error {
	err := closeAll(ctx, p.events, p.work)
	p.stop.Do(func() { close(p.drain) })
	for _, l := range p.allLinks() {
		err = cmp.Or(err, closeAll(ctx, l.events, l.work))
	}
	out, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.server.GracefulStop() // the streams end by themselves, once their answers are sent
	}()
	select {
	case <-ended:
	case <-out.Done():
	}
	p.end()
	p.server.Stop()
	<-ended
	var links sync.WaitGroup
	for _, l := range p.allLinks() {
		links.Go(func() { l.cut(errClosed) })
	}
	links.Wait()
	return err
}

// Links returns the members that this node cannot reach directly, and how many events it has sent through another node.
func (p *Peers) Links() (unreachable []string, relayed uint64) {
	down := map[string]bool{}
	for _, l := range p.allLinks() {
		if down[l.addr] = l.down() != nil; p.isMember(l.addr) {
			l.tryOn()
		}
	}
	for _, m := range p.cfg.Members() {
		if down[m.Addr] && m.Node != p.cfg.Node {
			unreachable = append(unreachable, m.Node)
		}
	}
	return unreachable, p.relayed.Load()
}

func (p *Peers) isMember(addr string) bool {
	return slices.ContainsFunc(p.cfg.Members(), func(m actors.Place) bool { return m.Addr == addr })
}

// service returns the service of rollcall.proto: a single method, with a stream each way.
func service() *grpc.ServiceDesc {
	link := linkStream()
	link.Handler = func(p any, stream grpc.ServerStream) error {
		return p.(*Peers).serve(stream)
	}
	return &grpc.ServiceDesc{ServiceName: "rollcall.v1.Nodes", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{link}}
}

func linkStream() grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: "Link", ServerStreams: true, ClientStreams: true}
}

const linkMethod = "/rollcall.v1.Nodes/Link"
