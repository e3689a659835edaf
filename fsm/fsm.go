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
// An FSM stops at an entry that it cannot read. From then on it applies nothing, refuses snapshots (so that raft keeps
// the log from there on) and returns the reason from Err. A build that can read the entry continues from the same data.
type FSM struct {
	state atomic.Pointer[State]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every change
	view    context.Context
	endView context.CancelFunc
	broken  error
	broke   chan struct{} // closed when broken is set
}

// New returns an FSM with the empty State.
func New() *FSM {
	f := &FSM{changed: make(chan struct{}), broke: make(chan struct{})}
	f.view, f.endView = context.WithCancel(context.Background())
	f.state.Store(&State{})
	return f
}

// View returns a context that ends when the state gets another view. Call View before State.
func (f *FSM) View() context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

// State returns the newest state. It is shared: read it or Clone it, but never change it.
func (f *FSM) State() State { return *f.state.Load() }

// Changed returns a channel that is closed at the next change. Call Changed before State, so that no change falls between
// the two calls.
func (f *FSM) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Err returns why the FSM has stopped applying entries, or nil if it has not. The error wraps ErrNewer or ErrCorrupt.
func (f *FSM) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// Broken returns a channel that is closed when Err is no longer nil.
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
		f.end(err) // raft would try the restore again and again
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
		_ = sink.Cancel() // the first error is the one to report
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}
