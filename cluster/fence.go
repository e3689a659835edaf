package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// outOfContact is how long a node without contact to the leader may trust its view. After that others may own its rooms.
const outOfContact = 3 * time.Second

// Fence holds the values that fence this node's writes. It is cheap enough to be read for every message.
type Fence struct {
	Generation uint64
	// Epoch is the epoch of the view.
	Epoch uint64
	// Incarnation is that of this process, 0 until its join is committed.
	Incarnation uint64
	// Token is the newest leader's token that this node knows.
	Token reconcile.Token

	id    string
	state fsm.State
}

// Fence returns the current fence of this node.
func (n *Node) Fence() Fence {
	s := n.fsm.State()
	return Fence{Generation: s.Generation, Epoch: s.View.Epoch, Incarnation: n.incarnation.Load(), Token: s.Token(),
		id: n.cfg.NodeID, state: s}
}

// Owns reports whether this process owns the room in this view and has owned it in every view since the one with epoch since.
func (s Fence) Owns(room string, since uint64) bool {
	return s.Incarnation != 0 && s.state.Owned(room, s.id, s.Incarnation, since)
}

// InContact returns nil if this node has heard from a leader within outOfContact, or was opened within that time. Otherwise it returns an
// ErrOutOfContact.
func (n *Node) InContact() error {
	since := n.sinceContact()
	if since < 0 && time.Since(n.opened) < outOfContact {
		return nil
	}
	return inContact(since)
}

func inContact(since time.Duration) error {
	if since < 0 {
		return fmt.Errorf("%w: none has been heard of yet", ErrOutOfContact)
	}
	if since > outOfContact {
		return fmt.Errorf("%w for %v", ErrOutOfContact, since.Round(time.Second))
	}
	return nil
}

// View returns the newest view that this node knows. It is shared: callers must not change it.
func (n *Node) View() fsm.View { return n.fsm.State().View }

// ViewContext returns a context that ends when View returns another view.
func (n *Node) ViewContext() context.Context { return n.fsm.View() }
