package cluster

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// broadcast tells many that something has changed. The zero value is ready for use.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // closed at the next change; nil while nobody waits
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// StatusChanged returns a channel that is closed at the next change of State, or of the leader as raft knows it. Take it, then read Status, then
// wait for it.
func (n *Node) StatusChanged() <-chan struct{} { return n.changes.wait() }

// watchChanges serves StatusChanged until ctx ends.
func (n *Node) watchChanges(ctx context.Context) {
	leaders := make(chan raft.Observation, 1)
	observer := raft.NewObserver(leaders, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	for changed := n.fsm.Changed(); ; {
		select {
		case <-changed:
			changed = n.fsm.Changed() // before it is told: what changes from here on is told again
		case <-leaders: // one that was dropped for want of room comes before this one is read
		case <-ctx.Done():
			return
		}
		n.changes.notify()
	}
}
