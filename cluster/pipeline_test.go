package cluster

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// plainStream connects raft to other nodes over TCP, without ids.
type plainStream struct{ net.Listener }

// Dial implements raft.StreamLayer.
func (plainStream) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	_, addr := splitTarget(string(target))
	return net.DialTimeout("tcp", addr, timeout)
}

func newPlainTransport(t *testing.T) idTransport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := idTransport{book: newAddressBook(), gate: &gate{}, ballots: newBallots(), NetworkTransport: raft.NewNetworkTransportWithConfig(
		&raft.NetworkTransportConfig{Stream: plainStream{l}, MaxPool: 3, Timeout: transportTimeout, Logger: raftLogger(slog.New(slog.DiscardHandler))})}
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

// TestAPipelineThatNobodyReadsEnds sends as raft does after its decoder has returned, when nothing reads the answers any more. No sender may
// wait for ever.
func TestAPipelineThatNobodyReadsEnds(t *testing.T) {
	t.Parallel()
	leader, follower := newPlainTransport(t), newPlainTransport(t)
	go func() {
		for rpc := range follower.Consumer() {
			rpc.Respond(&raft.AppendEntriesResponse{}, nil)
		}
	}()
	pipeline, err := leader.AppendEntriesPipeline("n2", follower.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := pipeline.AppendEntries(&raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * pipelineTimeout):
		t.Error("a sender still waits")
	}
}
