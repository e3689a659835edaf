package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// lookForMoved is how often a node without a leader looks for servers that have moved.
const lookForMoved = time.Second

// followMoves looks for moved servers while this node knows no leader: servers that are not at the address that raft's configuration has. It
// asks the nodes of --join and the nodes that have asked this one. So nodes that all come back with other addresses can elect a leader, which
// then corrects the configuration.
func (n *Node) followMoves(ctx context.Context) {
	for wait.For(ctx, lookForMoved) == nil {
		if n.leader().ID != "" {
			continue
		}
		servers := n.raft.GetConfiguration()
		if servers.Error() != nil {
			continue
		}
		all := servers.Configuration().Servers
		for _, h := range n.askEach(ctx, append(n.addresses(ctx), n.callerAddresses()...)) {
			i := slices.IndexFunc(all, func(s raft.Server) bool { return string(s.ID) == h.ID })
			if i >= 0 && h.ID != "" && !h.Fresh {
				n.noteMoved(ctx, all[i], h)
			}
		}
	}
}

// noteMoved records the new address of a server, unless a process with its name still answers at the old one.
func (n *Node) noteMoved(ctx context.Context, s raft.Server, h hello) {
	known := n.endpoint.book.address(s.ID, s.Address)
	if h.ID == n.cfg.NodeID || h.Addr == string(known) {
		return
	}
	if before, err := n.ask(ctx, string(known)); err == nil && before.ID == h.ID {
		return
	}
	n.log.Info("a node has another node address than raft's configuration has; it is contacted there", "peer", h.ID, "from", known, "to", h.Addr)
	n.endpoint.book.note(s.ID, s.Address, raft.ServerAddress(h.Addr))
}

// askEach asks the nodes at all addresses at once and returns their answers by address. A node that does not answer at the address that it
// names is treated like one that does not answer: its hello is zero.
func (n *Node) askEach(ctx context.Context, addrs []string) map[string]hello {
	var mu sync.Mutex
	var asked sync.WaitGroup
	said := map[string]hello{}
	for _, addr := range addrs {
		asked.Go(func() {
			h, err := n.ask(ctx, addr)
			if err == nil && h.Addr != addr {
				h, err = n.ask(ctx, h.Addr)
			}
			if err != nil {
				h = hello{}
			}
			mu.Lock()
			defer mu.Unlock()
			said[addr] = h
		})
	}
	asked.Wait()
	return said
}

// noteCaller records the address of a node that asks, if raft's configuration has the node.
func (n *Node) noteCaller(s server) {
	if s.ID == "" || s.Addr == "" || s.ID == n.cfg.NodeID || n.known(s.ID) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.callers[s.ID] = s.Addr
}

func (n *Node) callerAddresses() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, addr := range n.callers {
		all = append(all, addr)
	}
	return all
}

// nextAddress returns a server with the address that raft's configuration should give it next, or false if all addresses are valid. No two
// servers may have the same address. If a server needs the address of another, the other one first gets its current address or, if that is
// taken or unknown, nowhere.
func nextAddress(all []raft.Server, now func(raft.Server) raft.ServerAddress) (raft.Server, bool) {
	at := func(addr raft.ServerAddress) int {
		return slices.IndexFunc(all, func(s raft.Server) bool { return s.Address == addr })
	}
	for _, s := range all {
		addr := now(s)
		if addr == s.Address {
			continue
		}
		holder := at(addr)
		if holder < 0 {
			s.Address = addr
			return s, true
		}
		other := all[holder]
		if addr = now(other); addr == other.Address || at(addr) >= 0 {
			addr = nowhere(other.ID)
		}
		other.Address = addr
		return other, true
	}
	return raft.Server{}, false
}

// addressNow returns the current address of a server, as far as this node knows.
func (n *Node) addressNow(s raft.Server) raft.ServerAddress {
	if string(s.ID) == n.cfg.NodeID {
		return raft.ServerAddress(n.endpoint.addr)
	}
	return n.endpoint.book.address(s.ID, s.Address)
}

// correctAddresses commits the current addresses of the servers, on the leader. A node that is alone elects itself whatever its address was,
// but other nodes would dial the old one.
func (n *Node) correctAddresses(context.Context) error {
	for {
		servers := n.raft.GetConfiguration()
		if err := servers.Error(); err != nil {
			return err
		}
		s, wrong := nextAddress(servers.Configuration().Servers, n.addressNow)
		if !wrong {
			return nil
		}
		n.log.Info("a node has another node address", "peer", s.ID, "to", n.endpoint.reachable(s.Address))
		if err := n.readdress(s, servers.Index()); err != nil {
			return err
		}
	}
}

// readdress commits a server's address.
func (n *Node) readdress(s raft.Server, index uint64) error {
	if s.Suffrage == raft.Voter {
		return n.raft.AddVoter(s.ID, s.Address, index, applyTimeout).Error()
	}
	return n.raft.AddNonvoter(s.ID, s.Address, index, applyTimeout).Error()
}

// makeWay gives another address to holder, the server that raft's configuration has at the joiner's address.
func (n *Node) makeWay(ctx context.Context, holder raft.Server, j joining, index uint64) error {
	if h, err := n.ask(ctx, j.Addr); err != nil || h.ID != j.ID {
		return also(errors.New("the address that it names does not lead to it: check its --node-advertise"), err)
	}
	if holder.Address = n.addressNow(holder); string(holder.Address) == j.Addr {
		holder.Address = nowhere(holder.ID)
	}
	n.log.Warn("a node has the address that another one had: the other one counts as gone until it comes back", "peer", j.ID, "was", holder.ID, "addr", j.Addr)
	return n.raftError(n.readdress(holder, index))
}
