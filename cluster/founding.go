package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/wait"
)

// server is the id and address of a node.
type server struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // the node address
}

// hello is a node's answer about itself.
type hello struct {
	server
	// Fresh is true if the node holds no cluster data.
	Fresh bool `json:"fresh"`
	// Expect is the node's --bootstrap-expect. It is 1 for a node that only joins.
	Expect int `json:"expect"`
	// Promised is the founder that the node has promised to follow. It is set only while the node is fresh.
	Promised server `json:"promised"`
	// Leaving is true while the node shuts down.
	Leaving bool `json:"leaving,omitempty"`
	// Leader is the leader that the node knows, zero for none.
	Leader server `json:"leader"`
	// Servers are the ids in raft's configuration.
	Servers []string `json:"servers,omitempty"`
	// Leads is true if the node leads and has established its term.
	Leads bool `json:"leads,omitempty"`
	// Generation is the cluster's, as the node knows it.
	Generation uint64 `json:"generation,omitempty"`
	// Format is the newest format of log entries that the node's build reads; 0 for the first.
	Format int `json:"format,omitempty"`
}

const (
	helloPath   = peerPrefix + "hello"
	promisePath = peerPrefix + "promise"
	// askTimeout limits the time of one request to another node.
	askTimeout = 2 * time.Second
)

func (n *Node) self() server { return server{ID: n.cfg.NodeID, Addr: n.endpoint.addr} }

func (n *Node) answerHello(_ context.Context, body []byte) (any, error) {
	var caller server
	if err := json.Unmarshal(body, &caller); err == nil {
		n.noteCaller(caller)
	}
	h := hello{server: n.self(), Fresh: n.isFresh(), Leader: n.leader(), Expect: n.cfg.BootstrapExpect, Leaving: n.leaves.Load(),
		Generation: n.fsm.State().Generation, Format: fsm.Format}
	if servers := n.raft.GetConfiguration(); servers.Error() == nil {
		for _, s := range servers.Configuration().Servers {
			h.Servers = append(h.Servers, string(s.ID))
		}
	}
	h.Leads = n.raft.State() == raft.Leader && n.established()
	if h.Fresh {
		var err error
		if h.Promised, err = n.store.promised(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// isFresh reports whether raft on this node has no configuration yet.
func (n *Node) isFresh() bool {
	servers := n.raft.GetConfiguration()
	return servers.Error() == nil && len(servers.Configuration().Servers) == 0
}

// leader returns the leader that raft on this node knows, zero for none.
func (n *Node) leader() server {
	addr, id := n.raft.LeaderWithID()
	return server{ID: string(id), Addr: string(addr)}
}

// answerPromise promises a founder that this node will follow it. The node promises another founder only if the first one, when asked, no
// longer is a candidate. So two founders can never both have all the promises that they need.
func (n *Node) answerPromise(ctx context.Context, body []byte) (any, error) {
	var founder server
	if err := json.Unmarshal(body, &founder); err != nil {
		return nil, fmt.Errorf("read the founder: %w", err)
	}
	if err := n.founding.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer n.founding.Release(1)
	if !n.isFresh() {
		return nil, fmt.Errorf("node %q already belongs to a cluster", n.cfg.NodeID)
	}
	if n.cfg.BootstrapExpect == 1 {
		return nil, fmt.Errorf("node %q has no --bootstrap-expect: it joins a cluster and founds none", n.cfg.NodeID)
	}
	before, err := n.store.promised()
	if err != nil {
		return nil, err
	}
	if before.ID != "" && before.ID != founder.ID && !n.gaveUp(ctx, before) {
		return nil, fmt.Errorf("node %q has promised to found the cluster with %q: start that one, or empty the --data-dir of %q", n.cfg.NodeID, before.ID, n.cfg.NodeID)
	}
	if err := n.store.promise(founder); err != nil {
		return nil, err
	}
	n.endpoint.closed.Store(false)
	return struct{}{}, nil
}

func (n *Node) gaveUp(ctx context.Context, founder server) bool {
	if founder.ID == n.cfg.NodeID {
		return false // it would have ended its candidacy
	}
	h, err := n.ask(ctx, founder.Addr)
	return err == nil && h.ID == founder.ID && h.Fresh && h.Promised.ID != founder.ID
}

func (n *Node) ask(ctx context.Context, addr string) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var h hello
	err := n.peers.call(ctx, addr, helloPath, n.self(), &h)
	return h, err
}

// foundWithOthers founds a new cluster with the other expected nodes, unless one of them already belongs to a cluster. It returns when raft
// on this node has a configuration, from this node or another, or when there is a cluster to join.
func (n *Node) foundWithOthers(ctx context.Context) error {
	for backoff := firstRetry; ; backoff = min(2*backoff, time.Second) {
		others, err := n.meet(ctx)
		if !n.isFresh() || slices.ContainsFunc(others, func(h hello) bool { return !h.Fresh }) {
			return nil
		}
		founders, unlike := n.founders(others)
		expect, here := n.cfg.BootstrapExpect, len(founders)+1
		switch {
		case expect == 1:
			err = also(fmt.Errorf("waiting for a node of --join %s that belongs to a cluster (a new cluster needs --bootstrap-expect 2 or more; to found one of this node alone, drop --join)", strings.Join(n.cfg.Join, ",")), err)
		case here < expect:
			err = also(fmt.Errorf("waiting for nodes: %d of --bootstrap-expect %d are here", here, expect), unlike, err)
		case len(n.cfg.Join)-here >= expect:
			err = also(fmt.Errorf("waiting for more nodes: of the %d in --join, %d are here, and as many as --bootstrap-expect %d that are not could found another cluster", len(n.cfg.Join), here, expect), unlike, err)
		default:
			err = n.tryToFound(ctx, founders)
		}
		n.setWaitReason(err)
		if wait.For(ctx, backoff) != nil {
			return ctx.Err()
		}
	}
}

// founders returns the nodes that are to found the cluster with this node. The error names nodes with a different --bootstrap-expect.
func (n *Node) founders(others []hello) (with []hello, unlike error) {
	for _, h := range others {
		switch h.Expect {
		case n.cfg.BootstrapExpect:
			with = append(with, h)
		case 1: // it only joins
		default:
			unlike = also(unlike, fmt.Errorf("node %q has --bootstrap-expect %d: give the same to all", h.ID, h.Expect))
		}
	}
	return with, unlike
}

// meet asks all nodes of --join and returns those that answered, without this node.
func (n *Node) meet(ctx context.Context) ([]hello, error) {
	found := map[string]hello{}
	var errs []error
	for _, addr := range n.addresses(ctx) {
		h, err := n.ask(ctx, addr)
		switch {
		case err != nil:
			errs = append(errs, err)
		case h.ID == n.cfg.NodeID && h.Addr != n.endpoint.addr:
			errs = append(errs, fmt.Errorf("another node at %s calls itself %q too: give each node a --node-id of its own", addr, h.ID))
		case h.ID != n.cfg.NodeID:
			found[h.ID] = h
		}
	}
	all := make([]hello, 0, len(found))
	for _, h := range found {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b hello) int { return cmp.Compare(a.ID, b.ID) })
	return all, also(errs...)
}

// addresses returns the addresses of --join. A name that resolves to several addresses contributes each of them.
func (n *Node) addresses(ctx context.Context) []string {
	var all []string
	for _, addr := range n.cfg.Join {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue // the callers of Validate refuse it
		}
		ips := []string{host}
		if n.cfg.Network == nil {
			if found, err := net.DefaultResolver.LookupHost(ctx, host); err == nil {
				ips = found
			}
		}
		for _, ip := range ips {
			one := net.JoinHostPort(ip, port)
			n.endpoint.dialer.names.Store(one, host)
			if !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
	}
	return all
}

// tryToFound founds the cluster if this node has the lowest id of the expected nodes and all the others promise to follow it.
func (n *Node) tryToFound(ctx context.Context, others []hello) error {
	all := []server{n.self()}
	for _, h := range others {
		all = append(all, h.server)
	}
	slices.SortFunc(all, func(a, b server) int { return cmp.Compare(a.ID, b.ID) })
	all = all[:n.cfg.BootstrapExpect]
	if all[0].ID != n.cfg.NodeID {
		return also(fmt.Errorf("waiting for %q to found the cluster", all[0].ID), n.endCandidacy(ctx))
	}
	if err := n.becomeCandidate(ctx); err != nil {
		return err
	}
	for _, s := range all[1:] {
		asked, cancel := context.WithTimeout(ctx, askTimeout)
		err := n.peers.call(asked, s.Addr, promisePath, n.self(), nil)
		cancel()
		if err != nil {
			return fmt.Errorf("waiting for %q to promise to found the cluster with this node: %w", s.ID, err)
		}
	}
	return n.bootstrap(ctx, all)
}

// becomeCandidate makes this node a candidate for founder: it promises to follow itself. endCandidacy ends that.
func (n *Node) becomeCandidate(ctx context.Context) error {
	_, err := n.answerPromise(ctx, mustJSON(n.self()))
	return err
}

func (n *Node) endCandidacy(ctx context.Context) error {
	if err := n.founding.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.founding.Release(1)
	promised, err := n.store.promised()
	if err != nil || promised.ID != n.cfg.NodeID {
		return err
	}
	return n.store.promise(server{})
}

// bootstrap gives raft its first configuration.
func (n *Node) bootstrap(ctx context.Context, servers []server) error {
	if err := n.founding.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.founding.Release(1)
	if !n.cfg.alone() {
		promised, err := n.store.promised()
		if err != nil || promised.ID != n.cfg.NodeID {
			return also(errors.New("this node has promised to follow another founder meanwhile"), err)
		}
	}
	conf := raft.Configuration{}
	for _, s := range servers {
		conf.Servers = append(conf.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(s.ID), Address: raft.ServerAddress(s.Addr)})
	}
	n.disk.founding.Store(true)
	defer n.disk.founding.Store(false)
	if err := n.raft.BootstrapCluster(conf).Error(); err != nil {
		return fmt.Errorf("founding the cluster: %w", err)
	}
	n.endpoint.closed.Store(false)
	n.log.Info("the cluster is founded", "nodes", len(servers))
	return nil
}

func mustJSON(s server) []byte {
	data, _ := json.Marshal(s) // two strings always marshal
	return data
}
