package cluster

import (
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// Standing is what fences this node's writes: cheap enough to be asked for with every message.
type Standing struct {
	Generation uint64
	// Epoch is the view's.
	Epoch uint64
	// Incarnation is this process's, 0 until its join is committed.
	Incarnation uint64
	// Token is the newest leader's known here.
	Token fsm.Token
	// SinceContact is how long ago the leader was heard of: 0 on the leader, negative when never.
	SinceContact time.Duration
}

// Standing is this node's, as of now.
func (n *Node) Standing() Standing {
	s := n.fsm.State()
	return Standing{Generation: s.Generation, Epoch: s.View.Epoch, Incarnation: n.incarnation.Load(), Token: s.Token(),
		SinceContact: n.sinceContact()}
}
