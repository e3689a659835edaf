package cluster

import "errors"

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
	// ErrClosed means that the node was closed.
	ErrClosed = errors.New("the node is closed")
	// ErrMultiNode means that the configuration, or the data directory, asks for more than one node.
	ErrMultiNode = errors.New("this build of rollcall runs exactly one node, clusters of several are not built yet: " +
		"use --bootstrap-expect 1 and no --join")
	// ErrDataDirLocked means that another process has the data directory open.
	ErrDataDirLocked = errors.New("another process uses this --data-dir: stop it, or give each node a directory of its own")
	// ErrOtherNode means that the data directory belongs to another node.
	ErrOtherNode = errors.New("this --data-dir belongs to another --node-id")
)
