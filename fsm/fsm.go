package fsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// FSM is the raft.FSM over a State. Make one with New.
//
// An entry that it cannot read ends it: from then on it applies nothing, refuses to be snapshotted (so that raft
// keeps the log from there on) and says why in Err. A build that reads the entry goes on from the same data.
type FSM struct {
	state atomic.Pointer[State]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every change
	view    context.Context
	endView context.CancelFunc
	broken  error
	broke   chan struct{} // closed with broken
}

// New is an FSM with the empty State.
func New() *FSM {
	f := &FSM{changed: make(chan struct{}), broke: make(chan struct{})}
	f.view, f.endView = context.WithCancel(context.Background())
	f.state.Store(&State{})
	return f
}

// View ends when the state has another view. Take it before State.
func (f *FSM) View() context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

// State is the newest state. It is shared: read it, Clone it, never change it.
func (f *FSM) State() State { return *f.state.Load() }

// Changed is closed at the next change. Take it before State, so that no change falls between the two.
func (f *FSM) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Err is nil, or why the FSM has stopped applying entries: ErrNewer or ErrCorrupt.
func (f *FSM) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// Broken is closed when Err is no longer nil.
func (f *FSM) Broken() <-chan struct{} { return f.broke }

func (f *FSM) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = err
		close(f.broke)
	}
}

// Apply implements raft.FSM. The future's response is a Result, or the error of Err.
func (f *FSM) Apply(log *raft.Log) any {
	if err := f.Err(); err != nil {
		return err
	}
	cmd, err := Decode(log.Data)
	if err != nil {
		err = fmt.Errorf("at index %d: %w", log.Index, err)
		f.end(err)
		return err
	}
	next, result := f.State().Apply(log.Index, cmd)
	result.Term = log.Term
	f.replace(next)
	return result
}

// Snapshot implements raft.FSM.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.Err(); err != nil {
		return nil, err
	}
	return snapshot{state: f.State()}, nil
}

// Restore implements raft.FSM.
func (f *FSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	state, err := ReadSnapshot(r)
	if errors.Is(err, ErrNewer) || errors.Is(err, ErrCorrupt) {
		f.end(err) // raft would ask for it again and again
	}
	if err != nil {
		return err
	}
	f.replace(state)
	return nil
}

func (f *FSM) replace(next State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.State().View.Epoch
	f.state.Store(&next)
	close(f.changed)
	f.changed = make(chan struct{})
	if next.View.Epoch != before {
		f.endView()
		f.view, f.endView = context.WithCancel(context.Background())
	}
}

type snapshot struct{ state State }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := WriteSnapshot(sink, s.state); err != nil {
		_ = sink.Cancel() // the first error is the one to tell
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}
