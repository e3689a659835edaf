package cluster

import (
	"errors"
	"fmt"
)

var (
	// ErrNotLeader means that another node leads; Status names it. The work was not begun.
	ErrNotLeader = errors.New("this node is not the leader")
	// ErrNoLeader means that nobody leads yet, or that the leader has not established its term. Try again.
	ErrNoLeader = errors.New("the cluster has no leader")
	// ErrTermEnded means that work was begun and its term ended meanwhile.
	ErrTermEnded = errors.New("the leader's term has ended")
	// ErrOutcomeUnknown means that a command was sent and may or may not be committed later.
	ErrOutcomeUnknown = errors.New("the command's outcome is unknown")
	// ErrNotJoined means that this process is not in the view that it sees.
	ErrNotJoined = errors.New("this node is not a member of the view")
	// ErrUnreached means that this node reaches other nodes, and none of them reaches it.
	ErrUnreached = errors.New("no other node can reach this one")
	// ErrOutOfContact means that this node has not heard of a leader for 3 s: it takes no work, since others may do it.
	ErrOutOfContact = errors.New("out of contact with the leader")
	// ErrSeveralClusters means that --join leads to other clusters too, and this node's has to give way.
	ErrSeveralClusters = errors.New("--join leads to several clusters")
	// ErrRemoved means that an operator has removed this node for good. It is for the process that ran then: a new start
	// joins anew.
	ErrRemoved = errors.New("this node was removed from the cluster: stop it, or start it again to join anew")
	// ErrUnknownNode means that the cluster has no node of that name.
	ErrUnknownNode = errors.New("the cluster has no such node")
	// ErrQuorum means that a removal would leave too few voters that answer.
	ErrQuorum = errors.New("too few of the remaining voters answer: bring them back first")
	// ErrNoHeir means that a leader is to go and no other voter answers that could lead.
	ErrNoHeir = errors.New("this node leads, and no other node answers that could: start one first")
	// ErrClosed means that the node was closed.
	ErrClosed = errors.New("the node is closed")
	// ErrDataDirLocked means that another process has the data directory open.
	ErrDataDirLocked = errors.New("another process uses this --data-dir: stop it, or give each node a directory of its own")
	// ErrNoNetwork means that a node without a node address has the data of one that is not alone.
	ErrNoNetwork = errors.New("--node-addr is missing")
	// ErrOtherNode means that the data directory belongs to another node.
	ErrOtherNode = errors.New("this --data-dir belongs to another --node-id")
)

// also puts errors into one line, as errors.Join puts them into several; nil for none.
func also(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}
