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
	"github.com/rollcallhq/rollcall/reconcile"
)

// Term is the time during which one leader leads.
type Term struct {
	// Token orders this leader's work before that of every later leader.
	Token reconcile.Token
	// Number is raft's term, for people to read.
	Number uint64
}

// activeTerm is an established term on this node.
type activeTerm struct {
	term  Term
	since time.Time
	// onEnd calls f once when the term ends, unless stop is called before.
	onEnd func(f func()) (stop func() bool)
	work  sync.WaitGroup // tasks and Leads
}

// watch follows raft's notices about the leadership. It never waits for work, so it acts at once on a loss of leadership. The work of a new
// term waits for that of the previous one.
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
			n.runTerm(term)
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

// runTerm establishes a term and runs its work. ctx is the term's. runTerm returns when ctx has ended and all work with it.
func (n *Node) runTerm(ctx context.Context) {
	care := &membership{node: n, heard: n.heardBefore(), silent: map[string]silence{}}
	term, err := n.establish(ctx)
	n.setWaitReason(nil)
	if err != nil {
		return // ctx has ended
	}
	n.log.Info("term established", "term", term.Number, "generation", term.Token.Generation, "index", term.Token.Index)
	r := &activeTerm{term: term, since: time.Now(), onEnd: func(f func()) func() bool { return context.AfterFunc(ctx, f) }}
	r.work.Go(func() { care.run(ctx) })
	r.work.Go(func() { n.useLaterFormats(ctx) })
	for _, t := range n.tasks {
		r.work.Go(func() { t.serve(ctx, term) })
	}
	n.install(r)
	<-ctx.Done()
	n.install(nil) // from here on, no Lead adds to the work
	r.work.Wait()
	n.log.Info("term ended", "term", term.Number)
}

// heardBefore returns when this node last heard from the leader before it, by id.
func (n *Node) heardBefore() map[string]time.Time {
	last, before := n.raft.LastContact(), n.fsm.State().Leader.ID
	if last.IsZero() || before == "" || before == n.cfg.NodeID {
		return map[string]time.Time{}
	}
	return map[string]time.Time{before: last}
}

func (n *Node) install(r *activeTerm) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current = r
}

// establish claims the leadership (which also waits until all earlier entries are applied here), corrects addresses in raft, founds the
// cluster if it is new, and enters this node into the view. It fails only when ctx ends.
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
		if err := n.retry(ctx, step.what, step.do); err != nil {
			return Term{}, err
		}
	}
	// The index stays that of this node's own claim: the state may already know a newer leader's.
	term.Token.Generation = n.fsm.State().Generation
	return term, nil
}

// retry repeats a step until it succeeds or ctx ends.
func (n *Node) retry(ctx context.Context, what string, step func(context.Context) error) error {
	n.setWaitReason(fmt.Errorf("waiting for %s", what))
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		try, cancel := context.WithTimeout(ctx, applyTimeout)
		err := step(try)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		err = fmt.Errorf("waiting for %s: %w", what, err)
		n.setWaitReason(err)
		n.log.Warn("leader is not established yet", "error", err, "retry", wait)
		select {
		case <-time.After(wait - rand.N(wait/4)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *Node) setWaitReason(what error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = what
}

// askRedisWithin is how long a leader of a cluster that has a generation waits for Redis to confirm it. Votes are moved and silent nodes
// leave the view only after that, so a Redis that hangs must not hold it up.
const askRedisWithin = time.Second

func (n *Node) found(ctx context.Context) error {
	ours, asking := n.fsm.State().Generation, ctx
	if ours != 0 {
		limited, cancel := context.WithTimeout(ctx, askRedisWithin)
		defer cancel()
		asking = limited
	}
	generation, err := n.cfg.Generation(asking, ours)
	switch {
	case err != nil && ours == 0:
		return err
	case err != nil:
		n.log.Warn("Redis did not return the cluster's generation; going on with the known one", "generation", ours, "error", err)
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

// rejoin enters this node into the view unless it already is a member. A process that leads again keeps its incarnation, because with a new
// one it would have to claim all its rooms again. A withdrawn node may lead when no other node can; it still owns nothing.
func (n *Node) rejoin(ctx context.Context) error {
	if n.member(n.fsm.State().View) || n.withdrawn.Load() != nil {
		return nil
	}
	res, err := n.Apply(ctx, n.join())
	if err != nil {
		return err
	}
	n.incarnation.Store(res.Index)
	return nil
}

// member reports whether this process, with its incarnation, is in the view.
func (n *Node) member(v fsm.View) bool {
	m, ok := v.Member(n.cfg.NodeID)
	return ok && m.Incarnation == n.incarnation.Load()
}

// Lead runs fn as work of the leader. The context of fn ends with ctx or with the term, whichever comes first. The next term on this node
// waits until fn returns. Without an established term here, Lead returns ErrNotLeader or ErrNoLeader and does not run fn. If fn fails after
// the end of the term, its error also is an ErrTermEnded.
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

func (n *Node) enter() *activeTerm {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current != nil {
		n.current.work.Add(1)
	}
	return n.current
}

// noTerm returns an ErrNotLeader that names the leader, or ErrNoLeader.
func (n *Node) noTerm() error {
	if _, leader := n.raft.LeaderWithID(); leader != "" && string(leader) != n.cfg.NodeID {
		return fmt.Errorf("%w: %q is", ErrNotLeader, leader)
	}
	return ErrNoLeader
}
