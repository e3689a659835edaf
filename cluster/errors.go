package cluster

import (
	"errors"
	"fmt"
)

var (
	// ErrNotLeader means that another node leads; Status names it. The work was not started.
	ErrNotLeader = errors.New("this node is not the leader")
	// ErrNoLeader means that nobody leads yet, or that the leader has not established its term. Try again.
	ErrNoLeader = errors.New("the cluster has no leader")
	// ErrTermEnded means that the leader's term ended while work was in progress.
	ErrTermEnded = errors.New("the leader's term has ended")
	// ErrOutcomeUnknown means that a command was sent and may have been committed, or may still be.
	ErrOutcomeUnknown = errors.New("the command's outcome is unknown")
	// ErrNotJoined means that this process is not a member of the view that it knows.
	ErrNotJoined = errors.New("this node is not a member of the view")
	// ErrUnreached means that this node reaches other nodes, but none of them reaches it.
	ErrUnreached = errors.New("no other node can reach this one")
	// ErrOutOfContact means that this node has not heard from a leader for 3 s. It takes no work, because others may do it.
	ErrOutOfContact = errors.New("out of contact with the leader")
	// ErrSeveralClusters means that --join also leads to other clusters, and this node's cluster has to give way.
	ErrSeveralClusters = errors.New("--join leads to several clusters")
	// ErrRemoved means that an operator has removed this node. It applies to the process that ran then; after a restart the node joins again.
	ErrRemoved = errors.New("this node was removed from the cluster: stop it, or start it again to rejoin")
	// ErrUnknownNode means that the cluster has no node with that name.
	ErrUnknownNode = errors.New("the cluster has no such node")
	// ErrQuorum means that too few voters would answer after a removal.
	ErrQuorum = errors.New("too few of the remaining voters answer: bring them back first, or first remove those that are gone for good")
	// ErrNoSuccessor means that a leader is to hand over, but no other voter that could lead answers.
	ErrNoSuccessor = errors.New("this node leads, and no other node answers that could: start one first")
	// ErrOlderBuild means that a node's build cannot read what is in the log, or is to be.
	ErrOlderBuild = errors.New("a node runs a version of rollcall that is too old")
	// ErrClosed means that the node was closed.
	ErrClosed = errors.New("the node is closed")
	// ErrDataDirLocked means that another process has the data directory open.
	ErrDataDirLocked = errors.New("another process uses this --data-dir: stop it, or give each node a directory of its own")
	// ErrNoNetwork means that a node has no node address, but its data says that it belongs to a cluster with others.
	ErrNoNetwork = errors.New("--node-addr is missing")
	// ErrOtherNode means that the data directory belongs to another node.
	ErrOtherNode = errors.New("this --data-dir belongs to another --node-id")
)

// also joins errors into one line, where errors.Join would use several. It returns nil if all are nil.
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

// errNotAsked is a case of ErrSeveralClusters with a text of its own: this node has not looked for other clusters yet.
var errNotAsked error = notAsked{}

type notAsked struct{}

func (notAsked) Error() string {
	return "this node has just started, and has not asked the nodes of --join yet whether they are of another cluster"
}

func (notAsked) Unwrap() error { return ErrSeveralClusters }
