// Package rpc carries requests between nodes: one gRPC service, over connections that the node port hands over.
//
// Each node keeps one stream to each peer that it asks. A batch holds the requests that gathered while the last batch was
// being sent, and the answers come back on the same stream, in the same way. A request is answered, or fails with one of
// actors' errors by its deadline. One that may have been lost is sent again within it, which rooms allow for: an event that
// is known changes nothing.
//
// A stream that carries nothing back for a second and a half while answers are due is given up. An event that cannot reach
// its room's owner then goes once through another node, the leader if it can be: raft has no connection between two
// followers, so nothing else notices a cut between them.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/rollcallhq/rollcall/actors"
)

// Config is what Peers need.
type Config struct {
	// Node is this node's name.
	Node string
	// Dial opens a connection to the RPC side of the node port at an address. It is encrypted where nodes use TLS.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Host does the work on the rooms of this node.
	Host actors.Owner
	// Epoch is that of the view at hand.
	Epoch func() uint64
	// Owner is where the view at hand has a room, and Members are all its limit.
	Owner   func(room string) (actors.Place, error)
	Members func() []actors.Place
	// Leader is the name of the node that leads; empty while none does.
	Leader func() string
	Log    *slog.Logger
	// Wait is how long a request is tried again while its node cannot be reached, within its deadline. Usually the view is
	// about to change, and the caller then asks the room's next owner. Default 2.5 s; negative for a single attempt.
	Wait   time.Duration
	Limits Limits
}

// Limits bound the requests under way. Beyond them a request fails with actors.ErrBusy. Long work (surveys, cleanups, lists
// of names) is limited separately, so that a sync cannot crowd out webhooks. A zero field takes its default.
type Limits struct {
	// Events to one peer, 2048, and from all peers together, 4096.
	EventsOut, EventsIn int
	// Long work for one peer, 16, and from all peers together, 64.
	WorkOut, WorkIn int
	// Bytes is the size of a request or an answer, the same on all nodes: 64 MiB, twice what 100,000 of the longest names take.
	Bytes int
}

// Peers sends this node's requests to the other nodes and answers theirs.
type Peers struct {
	cfg    Config
	server *grpc.Server
	events *semaphore // requests of peers that are being worked on
	work   *semaphore
	life   context.Context // ends with Stop
	end    context.CancelFunc
	drain  chan struct{} // closed when the last request of the peers has been worked on
	stop   sync.Once

	relayed atomic.Uint64 // events sent through another node

	mu    sync.Mutex
	links map[string]*link // by address
}

// New makes Peers that answer once Serve is called. Stop must be called.
func New(cfg Config) *Peers {
	cfg.Wait = or(cfg.Wait, 2500*time.Millisecond)
	l := &cfg.Limits
	l.EventsOut, l.EventsIn, l.WorkOut, l.WorkIn = or(l.EventsOut, 2048), or(l.EventsIn, 4096), or(l.WorkOut, 16), or(l.WorkIn, 64)
	l.Bytes = or(l.Bytes, 64<<20)
	p := &Peers{cfg: cfg, events: newSemaphore(l.EventsIn), work: newSemaphore(l.WorkIn), drain: make(chan struct{}), links: map[string]*link{}}
	p.life, p.end = context.WithCancel(context.Background())
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

// Peer is the node at a place, which must carry its address. It is cheap to make. The node refuses, with a NotOwner, while
// its view is older than the place's. Besides the node's own errors its calls return ErrBusy when too many are under way, and
// ErrUnavailable when the node cannot be reached within Config.Wait, or ctx ends. Without a deadline of ctx's an event or a
// list of names ends after 5 s, other work after 5 min.
func (p *Peers) Peer(place actors.Place) actors.Owner { return &peer{p, place} }

// Reach is nil when the node at addr answers over its stream, which is opened if need be.
func (p *Peers) Reach(ctx context.Context, addr string) error {
	s, err := p.link(addr).session(ctx, true)
	if err != nil {
		return err
	}
	return s.ping(ctx)
}

// link is this node's way to an address. Ways that have been down for a while are forgotten as new ones come.
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
	all := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		all = append(all, l)
	}
	return all
}

// closeTimeout bounds how long streams may take to end once their last answers are due. It is a matter of milliseconds, unless a
// peer is paused.
const closeTimeout = 2 * time.Second

// Stop refuses new requests, waits for those under way in both directions and for their answers to be sent, and closes all
// connections. When ctx ends first it cuts off the rest and returns an error.
func (p *Peers) Stop(ctx context.Context) error {
	err := p.events.close(ctx)
	if err == nil {
		err = p.work.close(ctx)
	}
	p.stop.Do(func() { close(p.drain) })
	for _, l := range p.allLinks() {
		if failed := l.close(ctx); err == nil {
			err = failed
		}
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

// Links tells which members this node cannot reach directly, and how many events it has sent through another node.
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

// or is v, or the default where v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// service is the one of rollcall.proto: a single method, with a stream each way.
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
