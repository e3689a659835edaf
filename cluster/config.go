package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcallhq/rollcall/fsm"
)

// Timings are raft's: how long a follower hears nothing before it stands for election, how long an election may take, how
// long a leader without a quorum goes on, and how often it tells of commits when there is nothing else to tell.
type Timings struct{ Heartbeat, Election, Lease, Commit time.Duration }

// timings are those that nodes run with. A leader that is killed is replaced within 1.3 s by these. The lease is as long as followers bear
// silence, which is the most that raft takes: no other leader comes sooner, and a shorter one gives up the lead for each stall of that length.
func timings() Timings {
	return Timings{Heartbeat: 500 * time.Millisecond, Election: 500 * time.Millisecond, Lease: 500 * time.Millisecond, Commit: 20 * time.Millisecond}
}

// transportTimeout bounds each of raft's messages.
const transportTimeout = time.Second

const (
	// lockTimeout bounds the wait for a data directory that another process holds.
	lockTimeout = 2 * time.Second
	// applyTimeout bounds a command whose caller set no deadline, and each attempt to establish a term.
	applyTimeout = 5 * time.Second
	// firstRetry and lastRetry bound the back-off between those attempts.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// A report may be large, so the log is compacted more often than raft's defaults would.
	snapshotThreshold = 1024
	trailingLogs      = 512
	keptSnapshots     = 2
	maxNodeID         = 128
	// maxVoters bounds what each commit waits for; further nodes own rooms and do not vote.
	maxVoters = 5
	// silentAfter is how long a member may be silent before it leaves the view.
	silentAfter = time.Second
	// goneAfter is how long a voter may be silent before a spare gets its vote.
	goneAfter = 5 * time.Second
	// rejoinGrace is longer than raft takes to its next heartbeat to a node that is back.
	rejoinGrace = 2 * time.Second
)

// Config is what a node is told. NodeID and Generation are required; NodeAddr too where there are other nodes.
type Config struct {
	// NodeID names this node for ever: its data directory belongs to it.
	NodeID string
	// DataDir holds the raft log and snapshots, in its folder raft. Empty keeps them in memory: for tests and for
	// `rollcall dev` only, since a voter of a real cluster that forgets its votes can elect a second leader.
	DataDir string
	// NodeAddr is host:port to listen on; port 0 takes a free one. Without a host, and without NodeAdvertise,
	// it listens on 127.0.0.1. Empty means no network at all, for a node that is alone.
	NodeAddr string
	// NodeAdvertise is host:port for other nodes; by default what the node listens on.
	NodeAdvertise string
	// HTTPAddr is host:port for other nodes, carried in the node's join entry.
	HTTPAddr string
	// Version is the build's, carried in the join entry.
	Version string
	// BootstrapExpect is how many nodes found the cluster together, 1 to 5. A node that is told of others by Join founds
	// one only together with them: with 1 it only joins.
	BootstrapExpect int
	// Join are node addresses of other nodes, host:port; a name that resolves to several addresses stands for all of them.
	// Its own may be among them.
	Join []string
	// DeadAfter is how long a node may be silent before it is removed for good; 0 is for ever.
	DeadAfter time.Duration
	// ServerTLS and ClientTLS protect all talk between nodes; both or neither. ClientTLS is for one connection to a host.
	ServerTLS *tls.Config
	ClientTLS func(host string) *tls.Config
	// Network is TCP when nil.
	Network Network
	// Handlers answer Call of other nodes, by name.
	Handlers map[string]Handler
	// ServeRPC serves the connections that DialRPC of other nodes opens, until the listener is closed. They are encrypted and
	// authenticated as all between nodes. Nil closes them.
	ServeRPC func(net.Listener) error
	// Reach tries whether requests of this node get to the node at a node address. With it, a node that no other reaches
	// leaves the lead and the view. Nil tries nothing.
	Reach func(ctx context.Context, nodeAddr string) error
	// Timings are for benchmarks, to compare others with ours. A zero field is ours; all nodes must have the same.
	Timings Timings
	// Same and Alike are settings by flag, no secrets: a node that joins the leader with another value of one in Same is
	// refused, of one in Alike told of in the logs of both.
	Same, Alike map[string]string
	// Insecure allows a node address that other machines can reach, without TLS.
	Insecure bool
	// MaxConns is how many connections to the node address may be open at once; 0 is 1,024. Of those whose handshake is not done, 64 may be.
	MaxConns int
	// Generation gives the generation that a term is to have: ours, which is 0 for a new cluster, or one above every other
	// that was ever used with this Redis. The leader asks as its term begins. While it fails, a new cluster waits, with a
	// back-off; one that has a generation goes on with that.
	Generation func(ctx context.Context, ours uint64) (uint64, error)
	// Epoch gives the highest epoch that this cluster has used with this Redis in a generation, 0 for none. The leader asks as its term
	// begins; an epoch above its own log's says that the log was restored from an older copy. Nil never says so.
	Epoch func(ctx context.Context, generation uint64) (uint64, error)
	// Fit is nil while this node can do a member's work, and a Failing where only part of it fails. It is asked twice a second. A node that lastingly
	// cannot do what another can leaves the lead and the view until it can. Nil is always fit.
	Fit func(ctx context.Context) error
	// Tasks run on the leader, while it leads.
	Tasks []Task
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

// Validate says what is wrong with c, by the names of the flags.
func (c Config) Validate() error {
	switch {
	case c.NodeID == "":
		return errors.New("--node-id is empty: give this node a name that it keeps")
	case len(c.NodeID) > maxNodeID || !utf8.ValidString(c.NodeID) || strings.ContainsFunc(c.NodeID, unicode.IsControl):
		return fmt.Errorf("--node-id %q: use up to %d bytes of printable text", c.NodeID, maxNodeID)
	case c.BootstrapExpect < 1 || c.BootstrapExpect > maxVoters:
		return fmt.Errorf("--bootstrap-expect %d: give 1 to %d; further nodes join later", c.BootstrapExpect, maxVoters)
	case c.BootstrapExpect > 1 && len(c.Join) == 0:
		return fmt.Errorf("--bootstrap-expect %d without --join: name the other nodes' node addresses", c.BootstrapExpect)
	case (c.ServerTLS == nil) != (c.ClientTLS == nil):
		return errors.New("cluster: one of Config.ServerTLS and ClientTLS is nil")
	case !c.alone() && c.NodeAddr == "":
		return errors.New("--node-addr is empty: give host:port, such as 127.0.0.1:7000")
	case c.Generation == nil:
		return errors.New("cluster: Config.Generation is nil")
	}
	seen := map[string]bool{}
	for _, t := range c.Tasks {
		if err := t.validate(); err != nil {
			return err
		}
		if seen[t.Name] {
			return fmt.Errorf("cluster: two tasks are called %q", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// alone tells whether nothing speaks of other nodes.
func (c Config) alone() bool { return c.BootstrapExpect == 1 && len(c.Join) == 0 }

// join is this process's entry in the view.
func (n *Node) join() fsm.Join {
	return fsm.Join{ID: n.cfg.NodeID, NodeAddr: n.link.advertise(), HTTPAddr: n.cfg.HTTPAddr,
		Version: n.cfg.Version, HashVersion: fsm.HashVersion}
}
