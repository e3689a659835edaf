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
)

// addressBook knows the servers that have moved: raft's configuration has their old address, and cannot be changed before there is a
// leader.
type addressBook struct {
	mu    sync.Mutex
	moved map[raft.ServerID]move
}

// move is a server's new address. It counts only while raft's configuration has the old one.
type move struct{ from, to raft.ServerAddress }

func newAddressBook() *addressBook { return &addressBook{moved: map[raft.ServerID]move{}} }

// note notes that the server which raft's configuration has at one address is at another now.
func (b *addressBook) note(id raft.ServerID, from, to raft.ServerAddress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved[id] = move{from: from, to: to}
}

// forget drops what was noted of a server that has told its address itself since.
func (b *addressBook) forget(id raft.ServerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.moved, id)
}

// address returns where a server is that raft's configuration has at stored, or nowhere. A move that the configuration has taken over is
// forgotten: the server may come back to its first address.
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

// nowhere is the address, in raft's configuration, of a server whose last one is another server's now.
func nowhere(id raft.ServerID) raft.ServerAddress {
	return raft.ServerAddress(nowherePrefix + string(id))
}

const nowherePrefix = "moved:"

// idTransport is raft's transport to servers by their ids. Each connection is for one id, and the node at the other end must
// have it: two nodes that have exchanged their addresses would otherwise vote and acknowledge for each other.
type idTransport struct {
	*raft.NetworkTransport
	book *addressBook
	gate *gate
}

// gate keeps heartbeats from raft once its storage is to be closed: raft handles them on the connections' goroutines, for which its
// shutdown does not wait, and panics where it cannot write.
type gate struct {
	mu   sync.RWMutex
	shut bool
}

// close returns when no heartbeat is under way.
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

// idTarget and splitTarget put an id and an address into what raft's transport takes for an address, and take them out again.
func idTarget(id, addr string) string { return id + "\x00" + addr }

func splitTarget(target string) (id, addr string) {
	if i := strings.LastIndexByte(target, 0); i >= 0 {
		return target[:i], target[i+1:]
	}
	return "", target
}

// AppendEntriesPipeline implements raft.Transport.
func (t idTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.NetworkTransport.AppendEntriesPipeline(id, t.target(id, target))
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

// A connection of protoRaftTo begins with the id that the caller looks for and a line feed, and is answered with rightNode, or with
// wrongNode and closed. Validate keeps line feeds out of ids.
const (
	rightNode = '='
	wrongNode = '!'
)

var errWrongNode = errors.New("another node answers there")

// askForNode asks the node at the other end whether it has the id.
func askForNode(conn net.Conn, id string) error {
	if _, err := io.WriteString(conn, id+"\n"); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != rightNode {
		return fmt.Errorf("%w than %q", errWrongNode, id)
	}
	return nil
}

// answerForNode answers askForNode as the node id.
func answerForNode(conn net.Conn, id string) error {
	// The caller says nothing more before it has the answer, so nothing is lost in the buffer.
	asked, err := bufio.NewReaderSize(io.LimitReader(conn, maxNodeID+1), maxNodeID+1).ReadString('\n')
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

// dialNode connects raft to the node of that id. A node of a build that does not know protoRaftTo closes the connection; then it is asked
// for its id by hello, and spoken to as before.
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
