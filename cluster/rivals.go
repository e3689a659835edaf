package cluster

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// lookForRivals is how often a node checks whether --join leads to clusters other than its own.
const lookForRivals = 2 * time.Second

// MayOwn returns nil if this node may own rooms and may say who owns a room: it is in contact with a leader, and its cluster need not give
// way to another cluster behind the same --join. Two such clusters would take each other's rooms.
func (n *Node) MayOwn() error {
	if err := n.InContact(); err != nil {
		return err
	}
	if !n.looked.Load() && !n.coversJoin() {
		return errNotAsked
	}
	return n.outranked()
}

// outranked returns an ErrSeveralClusters while this node's cluster has to give way to others behind --join, else nil.
func (n *Node) outranked() error {
	if why := n.rival.Load(); why != nil {
		return *why
	}
	return nil
}

// coversJoin reports whether the servers in raft's configuration alone are more than half of --join. Then other clusters change nothing for
// this node.
func (n *Node) coversJoin() bool {
	if len(n.cfg.Join) == 0 || n.peers == nil {
		n.looked.Store(true)
		return true
	}
	var p joinTally
	for _, addr := range n.cfg.Join {
		p.add(addr, n.configured(addr))
	}
	if p.more(n.endpoint.addr) {
		n.looked.Store(true)
		return true
	}
	return false
}

// configured reports whether raft's configuration has a server at an address.
func (n *Node) configured(addr string) bool {
	servers := n.raft.GetConfiguration()
	return servers.Error() == nil && slices.ContainsFunc(servers.Configuration().Servers, func(s raft.Server) bool {
		return string(n.addressNow(s)) == addr
	})
}

// joinTally counts the addresses of --join, and how many of them belong to this node's cluster.
type joinTally struct {
	addrs []string
	ours  int
}

func (p *joinTally) add(addr string, ours bool) {
	p.addrs = append(p.addrs, addr)
	if ours {
		p.ours++
	}
}

// more reports whether the cluster has more than half of the addresses, including its own, which --join need not contain.
func (p *joinTally) more(own string) bool {
	total, ours := len(p.addrs), p.ours
	if !slices.Contains(p.addrs, own) {
		total, ours = total+1, ours+1
	}
	return 2*ours > total
}

// watchRivals regularly checks for other clusters, and records the result for MayOwn and Ready.
func (n *Node) watchRivals(ctx context.Context) {
	seen := 0
	for ctx.Err() == nil {
		backoff := lookForRivals
		if others, more, ok := n.rivals(ctx); ok {
			// Once this node has been ready, one check is not enough: the leader may have changed during it.
			if seen++; len(others) == 0 || seen > 1 || !n.settled.Load() {
				n.judgeRivals(others, more)
			}
			if len(others) == 0 {
				seen = 0
			}
			n.looked.Store(true)
		}
		if !n.looked.Load() {
			backoff = pollReady
		}
		if wait.For(ctx, backoff) != nil {
			return
		}
	}
}

// rivals returns the leaders of other clusters behind --join, which lead at the same time as this node's leader. more reports whether this
// node's cluster has more than half of --join. ok is false if nothing can be said: this node knows no leader, or the leader does not confirm
// that it leads.
func (n *Node) rivals(ctx context.Context) (others []server, more, ok bool) {
	leader := n.leader()
	if leader.ID == "" {
		return nil, false, false
	}
	said := n.askEach(ctx, n.addresses(ctx))
	found := map[string]bool{}
	for _, h := range said {
		if h.Leader.Addr != "" && h.Leader.Addr != leader.Addr && !h.Fresh && h.ID != n.cfg.NodeID && !found[h.Leader.Addr] {
			other, err := n.ask(ctx, h.Leader.Addr)
			if found[h.Leader.Addr] = err == nil && other.Leads && other.Addr == h.Leader.Addr; found[other.Addr] {
				others = append(others, other.server)
			}
		}
	}
	if len(others) > 0 {
		if ours, err := n.ask(ctx, leader.Addr); err != nil || !ours.Leads || ours.ID != leader.ID {
			return nil, false, false
		}
	}
	slices.SortFunc(others, func(a, b server) int { return strings.Compare(a.ID+a.Addr, b.ID+b.Addr) })
	var p joinTally
	for addr, h := range said {
		if h.ID == n.cfg.NodeID {
			addr = n.endpoint.addr
		}
		p.add(addr, !found[h.Leader.Addr] && (h.ID != "" && n.known(h.ID) == nil || n.configured(addr) || n.configured(n.named(addr))))
	}
	return others, p.more(n.endpoint.addr), true
}

// named returns an address of --join with the host name that resolved to it.
func (n *Node) named(addr string) string {
	host, ok := n.endpoint.dialer.names.Load(addr)
	_, port, err := net.SplitHostPort(addr)
	if !ok || err != nil {
		return addr
	}
	return net.JoinHostPort(fmt.Sprint(host), port)
}

// judgeRivals records the consequence of the other clusters, and logs it when it changes.
func (n *Node) judgeRivals(others []server, more bool) {
	var names []string
	for _, s := range others {
		names = append(names, fmt.Sprintf("%q at %s", s.ID, s.Addr))
	}
	said := fmt.Sprint(more, names)
	if len(others) == 0 {
		said = ""
	}
	before := n.rivalsSaid
	n.rivalsSaid = said
	switch {
	case len(others) == 0 || more:
		n.rival.Store(nil)
	default:
		err := fmt.Errorf("%w: that of this node, which %q leads, and others, led by %s, and this one does not have more than half of --join. Choose the one to keep; "+
			"then stop every node of the others, empty its --data-dir, and start it again",
			ErrSeveralClusters, n.leader().ID, strings.Join(names, " and "))
		n.rival.Store(&err)
	}
	switch {
	case said == before:
	case said == "":
		n.log.Info("--join leads to one cluster only")
	case more:
		n.log.Warn("--join leads to other clusters too; this one has more than half of --join and goes on. Stop the nodes of the others, empty their --data-dir, and start them again: they join this one then",
			"led_by", names)
	default:
		n.log.Error("this node owns no rooms and is not ready", "error", *n.rival.Load())
	}
}
