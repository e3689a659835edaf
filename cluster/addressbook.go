package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// addressBook holds the new addresses of servers that have moved. Raft's configuration still has their old addresses and cannot be changed
// before there is a leader.
type addressBook struct {
	mu    sync.Mutex
	moved map[raft.ServerID]move
}

// move is a server's new address. It counts only while raft's configuration has the old one.
type move struct{ from, to raft.ServerAddress }

func newAddressBook() *addressBook { return &addressBook{moved: map[raft.ServerID]move{}} }

// note records that the server which raft's configuration has at from is now at to.
func (b *addressBook) note(id raft.ServerID, from, to raft.ServerAddress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved[id] = move{from: from, to: to}
}

// forget drops the recorded move of a server that has since announced its address itself.
func (b *addressBook) forget(id raft.ServerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.moved, id)
}

// address returns the current address of a server that raft's configuration has at stored, which may be nowhere. It forgets a move that the
// configuration has taken over, because the server may return to its first address later.
func (b *addressBook) address(id raft.ServerID, stored raft.ServerAddress) raft.ServerAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.moved[id]
	switch {
	case !ok:
	case m.from == stored || stored == nowhere(id):
		return m.to
	default:
		delete(b.moved, id)
	}
	return stored
}

// nowhere returns the placeholder that raft's configuration has for a server whose last address now belongs to another server.
func nowhere(id raft.ServerID) raft.ServerAddress {
	return raft.ServerAddress(nowherePrefix + string(id))
}

const nowherePrefix = "moved:"

// idTransport is a raft transport that addresses servers by id. Each connection is for one id, and the node at the other end must have it.
// Otherwise two nodes that have exchanged their addresses would vote and acknowledge for each other.
type idTransport struct {
	*raft.NetworkTransport
	book    *addressBook
	gate    *gate
	ballots *ballots
}

// Consumer implements raft.Transport.
func (t idTransport) Consumer() <-chan raft.RPC {
	return t.ballots.relay(t.NetworkTransport.Consumer())
}

// gate keeps heartbeats away from raft while its storage closes. Raft handles heartbeats on the goroutines of the connections, does not wait
// for these on shutdown, and panics when it cannot write.
type gate struct {
	mu   sync.RWMutex
	shut bool
}

// close shuts the gate. It returns when no heartbeat is being handled.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// SetHeartbeatHandler implements raft.Transport.
func (t idTransport) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		t.gate.mu.RLock()
		defer t.gate.mu.RUnlock()
		if t.gate.shut {
			rpc.Respond(nil, raft.ErrTransportShutdown)
			return
		}
		handle(rpc)
	})
}

func (t idTransport) target(id raft.ServerID, stored raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(idTarget(string(id), string(t.book.address(id, stored))))
}

// idTarget packs an id and an address into one string, which raft's transport takes for an address. splitTarget unpacks it.
func idTarget(id, addr string) string { return id + "\x00" + addr }

func splitTarget(target string) (id, addr string) {
	if i := strings.LastIndexByte(target, 0); i >= 0 {
		return target[:i], target[i+1:]
	}
	return "", target
}

// AppendEntriesPipeline implements raft.Transport.
func (t idTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, t.target(id, target))
	if err != nil {
		return nil, err
	}
	return boundedPipeline{p}, nil
}

// AppendEntries implements raft.Transport.
func (t idTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, t.target(id, target), args, resp)
}

// RequestVote implements raft.Transport.
func (t idTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.target(id, target), args, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t idTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.target(id, target), args, resp)
}

// InstallSnapshot implements raft.Transport.
func (t idTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, t.target(id, target), args, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t idTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.target(id, target), args, resp)
}

// A connection of protoRaftTo begins with the id of the node that the caller wants, followed by a line feed. The answer is rightNode, or
// wrongNode and the end of the connection. Validate rejects ids with line feeds.
const (
	rightNode = '='
	wrongNode = '!'
)

var errWrongNode = errors.New("another node answers there")

// askForNode returns an errWrongNode if the node at the other end does not have the id.
func askForNode(conn net.Conn, id string) error {
	if _, err := io.WriteString(conn, id+"\n"); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != rightNode {
		return fmt.Errorf("%w, not %q", errWrongNode, id)
	}
	return nil
}

// answerForNode answers the askForNode of the other side, for the node with that id.
func answerForNode(conn net.Conn, id string) error {
	// The caller sends nothing more before it has the answer, so the buffer loses nothing.
	asked, err := bufio.NewReaderSize(io.LimitReader(conn, fsm.MaxNodeID+1), fsm.MaxNodeID+1).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSuffix(asked, "\n") != id {
		_, _ = conn.Write([]byte{wrongNode})
		return fmt.Errorf("%w: it looked for %q", errWrongNode, strings.TrimSuffix(asked, "\n"))
	}
	_, err = conn.Write([]byte{rightNode})
	return err
}

// dialNode connects raft to the node with that id. A node of a build that does not know protoRaftTo closes the connection. dialNode then asks
// it for its id by hello and, if the id matches, uses protoRaft.
func (s streamLayer) dialNode(ctx context.Context, id, addr string) (net.Conn, error) {
	conn, err := s.dialer.dial(ctx, addr, protoRaftTo)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if err = askForNode(conn, id); err == nil {
		return conn, conn.SetDeadline(noDeadline())
	}
	err = errors.Join(err, conn.Close())
	if errors.Is(err, errWrongNode) || s.idAt == nil || s.idAt(ctx, addr) != id {
		return nil, fmt.Errorf("connect to %q at %s: %w", id, addr, err)
	}
	return s.dialer.dial(ctx, addr, protoRaft)
}
