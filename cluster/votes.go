package cluster

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// ballots lets raft consider the votes that known servers ask for, also those of servers that have no vote by this node's configuration.
// Raft's library refuses the latter. But the candidate's configuration may be the newer one: if a leader gives a server a vote and ends before
// this node has that entry, this node and that server would elect nobody until the old leader is back. Raft itself asks a voter to compare the
// logs only, so there still is at most one leader in a term. A server that this node does not know is refused as before, because it may belong
// to another cluster.
type ballots struct {
	servers atomic.Pointer[func() []raft.Server] // raft's configuration; nil until raft runs
	life    context.Context
	close   context.CancelFunc
}

func newBallots() *ballots {
	b := &ballots{}
	b.life, b.close = context.WithCancel(context.Background())
	return b
}

// relay passes requests on, with the votes adjusted, until close.
func (b *ballots) relay(from <-chan raft.RPC) <-chan raft.RPC {
	to := make(chan raft.RPC)
	go func() {
		for {
			select {
			case rpc := <-from:
				rpc.Command = b.adjust(rpc.Command)
				select {
				case to <- rpc:
				case <-b.life.Done():
					rpc.Respond(nil, raft.ErrTransportShutdown)
					return
				}
			case <-b.life.Done():
				return
			}
		}
	}()
	return to
}

// adjust returns the request. If a known server without a vote asks for one, the request has the id of a voter, because raft's library reads
// the id only to see whether the candidate is a voter.
func (b *ballots) adjust(command any) any {
	switch asks := command.(type) {
	case *raft.RequestVoteRequest:
		asks.ID = b.voter(asks.ID)
	case *raft.RequestPreVoteRequest:
		asks.ID = b.voter(asks.ID)
	}
	return command
}

// voter returns id, or the id of some voter if id is that of a known server that has no vote.
func (b *ballots) voter(id []byte) []byte {
	configuration := b.servers.Load()
	if configuration == nil {
		return id
	}
	servers := (*configuration)()
	known := slices.ContainsFunc(servers, func(s raft.Server) bool { return string(s.ID) == string(id) && s.Suffrage != raft.Voter })
	i := slices.IndexFunc(servers, func(s raft.Server) bool { return s.Suffrage == raft.Voter })
	if !known || i < 0 {
		return id
	}
	return []byte(servers[i].ID)
}
