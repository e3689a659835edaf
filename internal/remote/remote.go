package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/grpclog"

	"github.com/rollcallhq/rollcall/actors"
)

// Config is what a Remote needs.
type Config struct {
	// Listen is host:port; port 0 takes a free one. Advertise is where peers find this node; empty for the address listened on.
	Listen, Advertise string
	// ServerTLS must demand and verify the peers' certificates; ClientTLS shows ours. Both or none; without, nothing is
	// encrypted and everyone may call.
	ServerTLS *tls.Config
	ClientTLS credentials.TransportCredentials
	// Host does the work on the rooms of this node.
	Host actors.Owner
	// Epoch is that of the view at hand.
	Epoch func() uint64
	Log   *slog.Logger
	// Wait is how long a request waits for a peer that cannot be reached, within its deadline: most often the view is about
	// to change, and the caller to turn elsewhere. Default 3 s, the time after which a node without a leader refuses
	// requests too; negative for no wait.
	Wait   time.Duration
	Limits Limits
}

// Limits bound what is under way; beyond them it is actors.ErrBusy.
type Limits struct {
	// Peer is for requests to one peer; default 2048.
	Peer int
	// Door is for requests from all peers together; default 4096.
	Door int
	// Bytes is the size of a request or an answer, the same on all nodes; default 64 MiB, which 100,000 names of the
	// longest kind fit into twice.
	Bytes int
}

// Remote sends requests to peers, and answers theirs.
type Remote struct {
	cfg    Config
	system *actor.ActorSystem // with no room in it
	remote *remote.Remote
	door   *actor.PID
	sender *actor.PID // where answers to our requests go
	calls  *calls
	served *slots // requests of peers that are being worked on
	links  *links
	life   context.Context // under which peers' requests are worked on
	end    context.CancelFunc
	stop   sync.Once

	sending sync.RWMutex // held while something is sent
	hushed  bool

	complain *complaints
	logs     atomic.Pointer[func()] // see library
}

// Open listens and is ready for requests. It replaces gRPC's logger, which is global to the process. Stop must be called.
func Open(cfg Config) (_ *Remote, err error) {
	host, port, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg, calls: newCalls(cfg.Limits.Peer), served: &slots{limit: cfg.Limits.Door}}
	r.life, r.end = context.WithCancel(context.Background())
	r.links = newLinks(cfg.Log, r.calls)
	r.complain = &complaints{log: func(dropped int) {
		cfg.Log.Warn("a node sent messages that are none of its business; they were dropped", "messages", dropped)
	}}
	r.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(library{cfg.Log.Handler(), &r.logs})
	}))
	r.remote = remote.NewRemote(r.system, r.transport(host, port))
	// The door is there before the first request can be.
	if r.door, err = r.system.Root.SpawnNamed(actor.PropsFromFunc(r.receive), doorName); err != nil {
		return nil, fmt.Errorf("start the door: %w", err)
	}
	r.system.ProcessRegistry.Add(answers{r.calls}, answersName)
	if err := r.start(); err != nil {
		r.end()
		r.system.Shutdown()
		return nil, err
	}
	r.sender = actor.NewPID(r.Addr(), answersName)
	return r, nil
}

// complete sets the defaults and finds what cannot work.
func (c *Config) complete() (host string, port int, err error) {
	name, service, err := net.SplitHostPort(c.Listen)
	if err == nil {
		port, err = strconv.Atoi(service)
	}
	if err != nil {
		return "", 0, fmt.Errorf("the address to listen on: %w", err)
	}
	if _, _, err := net.SplitHostPort(c.Advertise); err != nil && c.Advertise != "" {
		return "", 0, fmt.Errorf("the address to advertise: %w", err)
	}
	if (c.ServerTLS == nil) != (c.ClientTLS == nil) {
		return "", 0, errors.New("TLS between nodes needs both sides of it")
	}
	if c.ServerTLS != nil && !verifies(c.ServerTLS) {
		return "", 0, errors.New("TLS between nodes must demand the peers' certificates")
	}
	if name != "" && net.ParseIP(name).To4() == nil && net.ParseIP(name) != nil {
		name = "[" + name + "]" // the library puts host and port together as they are
	}
	c.Wait = or(c.Wait, 3*time.Second)
	c.Limits.Peer = or(c.Limits.Peer, 2048)
	c.Limits.Door = or(c.Limits.Door, 4096)
	c.Limits.Bytes = or(c.Limits.Bytes, 64<<20)
	return name, port, nil
}

// verifies tells whether callers need a certificate that is looked at.
func verifies(c *tls.Config) bool {
	return c.ClientAuth == tls.RequireAndVerifyClientCert || c.ClientAuth == tls.RequireAnyClientCert && c.VerifyConnection != nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// start runs the library, which panics where it cannot listen. Its first deed is to silence all of gRPC's log; ours is put
// in after that, when the library first logs, and before it serves: gRPC reads that global without a lock. For the same
// reason the race detector objects to two Remotes at once in a process; one after the other is well.
func (r *Remote) start() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("listen for other nodes: %v", p)
		}
	}()
	relog := func() { grpclog.SetLoggerV2(grpcLog{r.cfg.Log}) }
	r.logs.Store(&relog)
	r.remote.Start()
	// After the library's own subscription: when a lost link's requests are told, later ones already take a new link.
	r.system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *remote.EndpointConnectedEvent:
			r.links.announced(e.Address)
		case *remote.EndpointTerminatedEvent:
			r.links.lost(e.Address)
		}
	})
	return nil
}

// Addr is where peers find this node.
func (r *Remote) Addr() string { return r.system.Address() }
