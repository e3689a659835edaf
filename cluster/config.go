package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// Timings are raft's timeouts. Heartbeat is how long a follower waits without a message before it stands for election. Election is how long
// an election may take. Lease is how long a leader without a quorum goes on. Commit is how often an otherwise idle leader announces commits.
type Timings struct{ Heartbeat, Election, Lease, Commit time.Duration }

// timings returns the Timings that nodes use. With these, a killed leader is replaced within 1.3 s. The lease is as long as followers
// tolerate silence, which is the longest that raft allows. No other leader can be elected sooner, and a shorter lease would give up the
// leadership at each stall of that length.
func timings() Timings {
	return Timings{Heartbeat: 500 * time.Millisecond, Election: 500 * time.Millisecond, Lease: 500 * time.Millisecond, Commit: 20 * time.Millisecond}
}

// transportTimeout limits the time of each raft message.
const transportTimeout = time.Second

const (
	// lockTimeout limits the wait for a data directory that another process has locked.
	lockTimeout = 2 * time.Second
	// applyTimeout limits a command whose caller set no deadline, and each attempt to establish a term.
	applyTimeout = 5 * time.Second
	// firstRetry and lastRetry are the shortest and the longest back-off between those attempts.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// Reports may be large, so the log is compacted more often than with raft's defaults.
	snapshotThreshold = 1024
	trailingLogs      = 512
	keptSnapshots     = 2
	// maxVoters limits the number of nodes that a commit waits for. Further nodes own rooms and do not vote.
	maxVoters = 5
	// silentAfter is how long a member may be silent before it leaves the view.
	silentAfter = time.Second
	// goneAfter is how long a voter may be silent before a spare gets its vote.
	goneAfter = 5 * time.Second
	// rejoinGrace is longer than raft takes until its next heartbeat to a node that is back.
	rejoinGrace = 2 * time.Second
)

// Config configures a node. NodeID and Generation are required, and NodeAddr too if there are other nodes.
type Config struct {
	// NodeID is the permanent name of this node. Its data directory belongs to it.
	NodeID string
	// DataDir holds the raft log and snapshots, in the directory raft. If it is empty, they are kept in memory. That is for tests and
	// `rollcall dev` only, because a voter that forgets its votes can elect a second leader in a real cluster.
	DataDir string
	// NodeAddr is the host:port to listen on; port 0 chooses a free one. Without a host, and without NodeAdvertise, the node listens on
	// 127.0.0.1. If NodeAddr is empty, the node has no network; it must then be alone.
	NodeAddr string
	// NodeAdvertise is the host:port that other nodes dial. The default is the address that the node listens on.
	NodeAdvertise string
	// HTTPAddr is the node's HTTP host:port for other nodes. It is part of the node's join entry.
	HTTPAddr string
	// Version is the version of the build. It is part of the join entry.
	Version string
	// BootstrapExpect is how many nodes found the cluster together, 1 to 5. If Join names other nodes, 1 means that this node never founds a
	// cluster and only joins one.
	BootstrapExpect int
	// Join lists node addresses of other nodes, as host:port. A name that resolves to several addresses stands for all of them. The list may
	// contain this node's own address.
	Join []string
	// DeadAfter is how long a node may be silent before it is removed from the cluster; 0 means that it never is.
	DeadAfter time.Duration
	// ServerTLS and ClientTLS protect all connections between nodes. Set both or neither. ClientTLS returns the configuration for a
	// connection to host.
	ServerTLS *tls.Config
	ClientTLS func(host string) *tls.Config
	// Network defaults to TCP.
	Network Network
	// Handlers answer the Calls of other nodes. The key is the handler's name.
	Handlers map[string]Handler
	// ServeRPC serves the connections that other nodes open with DialRPC, until the listener is closed. They are encrypted and authenticated
	// like all connections between nodes. If ServeRPC is nil, these connections are closed.
	ServeRPC func(net.Listener) error
	// Reach returns nil if requests of this node reach the node at a node address. If it is set, a node that no other node reaches gives up
	// the leadership and leaves the view. If it is nil, nothing is checked.
	Reach func(ctx context.Context, nodeAddr string) error
	// Timings replaces the default timings in benchmarks. A zero field means the default. All nodes must have the same.
	Timings Timings
	// Required and Advisory are settings that nodes compare, by flag name. They hold no secrets. A node that joins with another value in
	// Required than the leader's is refused. A different value in Advisory is logged by both.
	Required, Advisory map[string]string
	// Insecure allows a node address that other machines can reach, without TLS.
	Insecure bool
	// MaxConns limits the open connections to the node address; 0 means 1,024. At most 64 of them may be in their handshake.
	MaxConns int
	// Generation returns the generation for a term: ours, which is 0 for a new cluster, or one above every other generation that was ever
	// used with this Redis. The leader calls it when its term begins. While it fails, a new cluster waits and retries with a back-off; a
	// cluster that has a generation goes on with that one.
	Generation func(ctx context.Context, ours uint64) (uint64, error)
	// Epoch returns the highest epoch that this cluster has used with this Redis in a generation, or 0 for none. The leader calls it when its
	// term begins. An epoch above the one in the leader's log means that the log was restored from an older copy. If Epoch is nil, this is
	// not checked.
	Epoch func(ctx context.Context, generation uint64) (uint64, error)
	// Health returns nil while this node can do a member's work, and a Failing if only part of the work fails. It is called twice a second. A
	// node that lastingly cannot do what another node can gives up the leadership and leaves the view until it can. If Health is nil, this
	// check always succeeds.
	Health func(ctx context.Context) error
	// Tasks run on the leader, while it leads.
	Tasks []Task
	// Contained, if not nil, is called for each panic that ended a task.
	Contained func()
	// Logger defaults to slog.Default().
	Logger *slog.Logger
}

// Validate returns an error that says what is wrong with c, by the names of the flags.
func (c Config) Validate() error {
	switch {
	case c.NodeID == "":
		return errors.New("--node-id is empty: give this node a name that it keeps")
	case !fsm.ValidNodeID(c.NodeID):
		return fmt.Errorf("--node-id %q: give 1 to %d letters, digits, dots, dashes or underscores, such as n1", c.NodeID, fsm.MaxNodeID)
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

// alone reports whether the configuration mentions no other nodes.
func (c Config) alone() bool { return c.BootstrapExpect == 1 && len(c.Join) == 0 }

// join returns the command that enters this process into the view.
func (n *Node) join() fsm.Join {
	return fsm.Join{ID: n.cfg.NodeID, NodeAddr: n.endpoint.advertise(), HTTPAddr: n.cfg.HTTPAddr,
		Version: n.cfg.Version, HashVersion: fsm.HashVersion}
}
