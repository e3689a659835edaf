package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// Apply commits a command through this node, which must be the leader, and waits until it is applied here. If the state machine refuses the
// command, Apply returns the Result and an fsm.Refusal. ErrNotLeader and ErrNoLeader mean that nothing was committed, ErrOutcomeUnknown that
// the command may have been committed. ErrOlderBuild means that nothing was committed, because the command is of a format that not all nodes are
// known to read. If ctx has no deadline, Apply waits at most 5 s.
func (n *Node) Apply(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	data, err := fsm.Encode(cmd)
	if err != nil {
		return fsm.Result{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, applyTimeout)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return fsm.Result{}, err
	}
	if format := fsm.FormatOf(cmd); format > max(n.fsm.State().Format, fsm.FirstFormat) {
		// No node may be added between the question and the commit.
		if err := n.configuring.Acquire(ctx, 1); err != nil {
			return fsm.Result{}, fmt.Errorf("another change of the configuration is under way: %w", err)
		}
		defer n.configuring.Release(1)
		if err := n.allRead(ctx, format); err != nil {
			return fsm.Result{}, err
		}
	}
	// Raft's futures do not take contexts.
	done := make(chan applied, 1)
	deadline, _ := ctx.Deadline()
	go func() { done <- n.propose(data, time.Until(deadline)) }()
	select {
	case a := <-done:
		return a.result, a.err
	case <-ctx.Done():
		return fsm.Result{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

type applied struct {
	result fsm.Result
	err    error
}

func (n *Node) propose(data []byte, enqueue time.Duration) applied {
	future := n.raft.Apply(data, max(enqueue, time.Millisecond))
	if err := future.Error(); err != nil {
		return applied{err: n.raftError(err)}
	}
	switch answer := future.Response().(type) {
	case fsm.Result:
		return applied{result: answer, err: answer.Err()}
	case error:
		return applied{err: answer}
	default:
		return applied{err: fmt.Errorf("%w: the fsm answered with %T", ErrOutcomeUnknown, answer)}
	}
}

// raftError translates an error of raft into an error of this package.
func (n *Node) raftError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return n.noTerm()
	case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	// This includes raft.ErrLeadershipLost: the entry may be in the next leader's log.
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}
