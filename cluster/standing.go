package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// outOfContact is how long a node without its leader may still believe its view. After that others may own its rooms.
const outOfContact = 3 * time.Second

// Standing is what fences this node's writes: cheap enough to be asked for with every message.
type Standing struct {
	Generation uint64
	// Epoch is the view's.
	Epoch uint64
	// Incarnation is this process's, 0 until its join is committed.
	Incarnation uint64
	// Token is the newest leader's known here.
	Token fsm.Token

	id    string
	state fsm.State
}

// Standing is this node's, as of now.
func (n *Node) Standing() Standing {
	s := n.fsm.State()
	return Standing{Generation: s.Generation, Epoch: s.View.Epoch, Incarnation: n.incarnation.Load(), Token: s.Token(),
		id: n.cfg.NodeID, state: s}
}

// Owns tells whether this process has owned the room in the view at hand and in all since the one of epoch.
func (s Standing) Owns(room string, since uint64) bool {
	return s.Incarnation != 0 && s.state.Owned(room, s.id, s.Incarnation, since)
}

// InContact is nil while this node has heard of a leader lately enough, or has been open for as little, else an
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

// View is the view at hand. It is shared: read it, never change it.
func (n *Node) View() fsm.View { return n.fsm.State().View }

// ViewContext ends when View gives another one.
func (n *Node) ViewContext() context.Context { return n.fsm.View() }
