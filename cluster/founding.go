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
)

// server is a node as founders know it.
type server struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // the node address
}

// hello is what a node says of itself to whoever asks.
type hello struct {
	server
	// Fresh says that it holds nothing of a cluster.
	Fresh bool `json:"fresh"`
	// Expect is its --bootstrap-expect: 1 for one that only joins.
	Expect int `json:"expect"`
	// Promised is whom it will follow, while it is fresh.
	Promised server `json:"promised"`
	// Leaving says that the node is shutting down.
	Leaving bool `json:"leaving,omitempty"`
	// Leader is the leader as far as the node knows; zero for none.
	Leader server `json:"leader"`
	// Servers are the ids in raft's configuration.
	Servers []string `json:"servers,omitempty"`
	// Leads says that the node leads, and has established its term.
	Leads bool `json:"leads,omitempty"`
}

const (
	helloPath   = peerPrefix + "hello"
	promisePath = peerPrefix + "promise"
	// askTimeout bounds one question to another node.
	askTimeout = 2 * time.Second
)

func (n *Node) self() server { return server{ID: n.cfg.NodeID, Addr: n.link.addr} }

func (n *Node) answerHello(_ context.Context, body []byte) (any, error) {
	var caller server
	if err := json.Unmarshal(body, &caller); err == nil {
		n.noteCaller(caller)
	}
	h := hello{server: n.self(), Fresh: n.isFresh(), Leader: n.leader(), Expect: n.cfg.BootstrapExpect, Leaving: n.leaves.Load()}
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

// isFresh tells whether raft here has no configuration yet.
func (n *Node) isFresh() bool {
	servers := n.raft.GetConfiguration()
	return servers.Error() == nil && len(servers.Configuration().Servers) == 0
}

// leader is the one that raft here knows of.
func (n *Node) leader() server {
	addr, id := n.raft.LeaderWithID()
	return server{ID: string(id), Addr: string(addr)}
}

// answerPromise binds this node to a founder. Another one it follows only when the first, asked, has given up: so no two
// founders can ever both have all whom they need.
func (n *Node) answerPromise(ctx context.Context, body []byte) (any, error) {
	var founder server
	if err := json.Unmarshal(body, &founder); err != nil {
		return nil, fmt.Errorf("read the founder: %w", err)
	}
	if err := n.founding.take(ctx); err != nil {
		return nil, err
	}
	defer n.founding.give()
	if !n.isFresh() {
		return nil, fmt.Errorf("node %q is of a cluster already", n.cfg.NodeID)
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
	n.link.closed.Store(false)
	return struct{}{}, nil
}

func (n *Node) gaveUp(ctx context.Context, founder server) bool {
	if founder.ID == n.cfg.NodeID {
		return false // it would have withdrawn
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

// foundWithOthers makes, with the others that are expected, a new cluster, unless one of them is of a cluster already. It returns
// when raft here has a configuration, by its own hand or another's, or there is a cluster to join.
func (n *Node) foundWithOthers(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, time.Second) {
		others, err := n.meet(ctx)
		if !n.isFresh() || slices.ContainsFunc(others, func(h hello) bool { return !h.Fresh }) {
			return nil
		}
		founders, unlike := n.founders(others)
		expect, here := n.cfg.BootstrapExpect, len(founders)+1
		switch {
		case expect == 1:
			err = also(fmt.Errorf("waiting for a node of --join %s that is of a cluster (a new cluster needs --bootstrap-expect)", strings.Join(n.cfg.Join, ",")), err)
		case here < expect:
			err = also(fmt.Errorf("waiting for nodes: %d of --bootstrap-expect %d are here", here, expect), unlike, err)
		case len(n.cfg.Join)-here >= expect:
			err = also(fmt.Errorf("waiting for more nodes: of the %d in --join, %d are here, and as many as --bootstrap-expect %d that are not could found another cluster", len(n.cfg.Join), here, expect), unlike, err)
		default:
			err = n.attempt(ctx, founders)
		}
		n.await(err)
		if sleep(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

// founders are those that are to found the cluster with this node. The error names those that were told otherwise.
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

// meet greets all of --join and gives those that answered, but not this node itself.
func (n *Node) meet(ctx context.Context) ([]hello, error) {
	found := map[string]hello{}
	var errs []error
	for _, addr := range n.addresses(ctx) {
		h, err := n.ask(ctx, addr)
		switch {
		case err != nil:
			errs = append(errs, err)
		case h.ID == n.cfg.NodeID && h.Addr != n.link.addr:
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

// addresses are those of --join, a name with several addresses once for each.
func (n *Node) addresses(ctx context.Context) []string {
	var all []string
	for _, addr := range n.cfg.Join {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue // refused by Validate's callers
		}
		ips := []string{host}
		if n.cfg.Network == nil {
			if found, err := net.DefaultResolver.LookupHost(ctx, host); err == nil {
				ips = found
			}
		}
		for _, ip := range ips {
			one := net.JoinHostPort(ip, port)
			n.link.dialer.names.Store(one, host)
			if !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
	}
	return all
}

// attempt founds the cluster if this node is the first, by id, of those expected, and all the others promise to follow.
func (n *Node) attempt(ctx context.Context, others []hello) error {
	all := []server{n.self()}
	for _, h := range others {
		all = append(all, h.server)
	}
	slices.SortFunc(all, func(a, b server) int { return cmp.Compare(a.ID, b.ID) })
	all = all[:n.cfg.BootstrapExpect]
	if all[0].ID != n.cfg.NodeID {
		return also(fmt.Errorf("waiting for %q to found the cluster", all[0].ID), n.withdraw(ctx))
	}
	if err := n.run(ctx); err != nil {
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

// run makes this node a candidate for founder; withdraw ends that.
func (n *Node) run(ctx context.Context) error {
	_, err := n.answerPromise(ctx, mustJSON(n.self()))
	return err
}

func (n *Node) withdraw(ctx context.Context) error {
	if err := n.founding.take(ctx); err != nil {
		return err
	}
	defer n.founding.give()
	promised, err := n.store.promised()
	if err != nil || promised.ID != n.cfg.NodeID {
		return err
	}
	return n.store.promise(server{})
}

// bootstrap gives raft its first configuration.
func (n *Node) bootstrap(ctx context.Context, servers []server) error {
	if err := n.founding.take(ctx); err != nil {
		return err
	}
	defer n.founding.give()
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
	n.link.closed.Store(false)
	n.log.Info("the cluster is founded", "nodes", len(servers))
	return nil
}

func mustJSON(s server) []byte {
	data, _ := json.Marshal(s) // two strings always marshal
	return data
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
