package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// Term is one leader's time.
type Term struct {
	// Token orders this leader's work before every later one's.
	Token fsm.Token
	// Number is raft's term, for people.
	Number uint64
}

// reign is an established term on this node.
type reign struct {
	term Term
	// onEnd calls f once when the term ends, unless stopped before.
	onEnd func(f func()) (stop func() bool)
	work  sync.WaitGroup // tasks and Leads
}

// watch follows raft's word on leadership. It never waits for work, so that a loss of leadership is acted upon at
// once; the work of a new term waits for that of the last.
func (n *Node) watch(ctx context.Context, notify <-chan bool) {
	defer close(n.stopped)
	last := make(chan struct{})
	close(last)
	end := context.CancelFunc(func() {})
	begin := func() {
		var term context.Context
		term, end = context.WithCancel(ctx)
		before, done := last, make(chan struct{})
		last = done
		go func() {
			defer close(done)
			<-before
			n.reign(term)
		}()
	}
	for {
		select {
		case <-ctx.Done():
			end()
			<-last
			return
		case leads := <-notify:
			end()
			n.log.Info("leadership changed", "leads", leads)
			if leads {
				begin()
			}
		case <-n.again:
			if n.raft.State() == raft.Leader && n.established() {
				end()
				n.log.Info("the term begins again")
				begin()
			}
		}
	}
}

// reign establishes a term, runs its work, and returns when ctx, which is the term's, has ended and all work with it.
func (n *Node) reign(ctx context.Context) {
	care := &steward{node: n, heard: n.heardBefore(), silent: map[string]quiet{}}
	term, err := n.establish(ctx)
	n.await(nil)
	if err != nil {
		return // ctx has ended
	}
	n.log.Info("term established", "term", term.Number, "generation", term.Token.Generation, "index", term.Token.Index)
	r := &reign{term: term, onEnd: func(f func()) func() bool { return context.AfterFunc(ctx, f) }}
	r.work.Go(func() { care.tend(ctx) })
	for _, t := range n.tasks {
		r.work.Go(func() { t.serve(ctx, term) })
	}
	n.install(r)
	<-ctx.Done()
	n.install(nil) // from here on no Lead adds to the work
	r.work.Wait()
	n.log.Info("term ended", "term", term.Number)
}

// heardBefore is when the leader before this one was last heard of.
func (n *Node) heardBefore() map[string]time.Time {
	last, before := n.raft.LastContact(), n.fsm.State().Leader.ID
	if last.IsZero() || before == "" || before == n.cfg.NodeID {
		return map[string]time.Time{}
	}
	return map[string]time.Time{before: last}
}

func (n *Node) install(r *reign) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current = r
}

// establish claims the leadership (which also waits until all earlier entries are applied here), founds a new
// cluster, and takes its place in the view. It fails only when ctx ends.
func (n *Node) establish(ctx context.Context) (Term, error) {
	var term Term
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"its claim to be committed", func(ctx context.Context) error {
			res, err := n.Apply(ctx, fsm.ClaimLeadership{ID: n.cfg.NodeID})
			term.Number, term.Token.Index = res.Term, res.Index
			return err
		}},
		{"raft to learn the nodes' addresses", n.correctAddresses},
		{"Redis to give the generation", n.found},
		{"its join to be committed", n.rejoin},
	}
	for _, step := range steps {
		if err := n.insist(ctx, step.what, step.do); err != nil {
			return Term{}, err
		}
	}
	// The index stays that of the own claim: the state may know a newer leader's by now.
	term.Token.Generation = n.fsm.State().Generation
	return term, nil
}

// insist repeats a step until it succeeds or ctx ends.
func (n *Node) insist(ctx context.Context, what string, step func(context.Context) error) error {
	n.await(fmt.Errorf("waiting for %s", what))
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		try, cancel := context.WithTimeout(ctx, applyTimeout)
		err := step(try)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		err = fmt.Errorf("waiting for %s: %w", what, err)
		n.await(err)
		n.log.Warn("leader is not established yet", "err", err, "retry", wait)
		select {
		case <-time.After(wait - rand.N(wait/4)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *Node) await(what error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = what
}

func (n *Node) found(ctx context.Context) error {
	ours := n.fsm.State().Generation
	generation, err := n.cfg.Generation(ctx, ours)
	switch {
	case err != nil && ours == 0:
		return err
	case err != nil:
		n.log.Warn("Redis does not tell the cluster's generation; going on with the one at hand", "generation", ours, "err", err)
		return nil
	case generation <= ours && ours != 0:
		if generation, err = n.outrankRestored(ctx, ours); err != nil || generation == ours {
			return err
		}
	}
	if _, err := n.Apply(ctx, fsm.Found{Generation: generation}); err != nil && !errors.Is(err, fsm.AlreadyFounded) {
		return err
	}
	n.log.Info("cluster founded", "generation", n.fsm.State().Generation, "before", ours)
	return nil
}

// rejoin keeps the incarnation of a process that leads again: a new one would make it claim all its rooms anew. A node that has stepped aside
// may lead, where no other can; it still owns nothing.
func (n *Node) rejoin(ctx context.Context) error {
	if n.member(n.fsm.State().View) || n.aside.Load() != nil {
		return nil
	}
	res, err := n.Apply(ctx, n.join())
	if err != nil {
		return err
	}
	n.incarnation.Store(res.Index)
	return nil
}

// member tells whether this very process is in the view.
func (n *Node) member(v fsm.View) bool {
	m, ok := v.Member(n.cfg.NodeID)
	return ok && m.Incarnation == n.incarnation.Load()
}

// Lead runs fn as the leader's, under a context that ends with ctx or the term, whichever is first; the next term
// on this node waits for fn to return. Without an established term here it is ErrNotLeader or ErrNoLeader, and fn
// does not run. An error of fn after the end of the term is ErrTermEnded as well.
func (n *Node) Lead(ctx context.Context, fn func(ctx context.Context, term Term) error) error {
	r := n.enter()
	if r == nil {
		return n.noTerm()
	}
	defer r.work.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer r.onEnd(func() { cancel(ErrTermEnded) })()
	err := fn(ctx, r.term)
	if err != nil && errors.Is(context.Cause(ctx), ErrTermEnded) {
		return fmt.Errorf("%w: %w", ErrTermEnded, err)
	}
	return err
}

func (n *Node) enter() *reign {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current != nil {
		n.current.work.Add(1)
	}
	return n.current
}

// noTerm tells who could do what this node cannot.
func (n *Node) noTerm() error {
	if _, leader := n.raft.LeaderWithID(); leader != "" && string(leader) != n.cfg.NodeID {
		return fmt.Errorf("%w: %q is", ErrNotLeader, leader)
	}
	return ErrNoLeader
}
