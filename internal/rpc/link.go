package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/internal/wire"
)

const (
	// redial is the minimum time between two attempts to reach a peer.
	redial = 100 * time.Millisecond
	// retryEvery is how often a member that is out of reach is tried although no request needs it.
	retryEvery = 500 * time.Millisecond
	// warnAfter is how long a member must be out of reach before that is logged. A member that stops or dies has left the view by then.
	warnAfter = 3 * time.Second
	// forgetAfter is how long a link that is down and that nobody uses is kept.
	forgetAfter = time.Minute
)

// link is this node's way to the node at an address. It has at most one session, opened when a request needs it. A member
// that is out of reach is tried again until it is reached, so that Links reports the truth and the next request need not wait.
type link struct {
	peers        *Peers
	addr         string
	events, work *semaphore // requests to the peer

	mu      sync.Mutex
	current *session  // nil while the peer is not reached
	opening *opening  // nil while no attempt is under way
	why     error     // the last failure; nil while the peer is reached, and before the first attempt
	since   time.Time // of why: when the peer was lost
	tried   time.Time
	used    time.Time // when a request last asked for this link; guarded by Peers.mu
	trying  bool      // retry runs
	warned  bool      // it has been logged that the peer is out of reach
	closed  bool
}

// opening is an attempt to reach the peer.
type opening struct {
	done    chan struct{} // closed when the following are set
	session *session
	err     error
}

func newLink(p *Peers, addr string) *link {
	return &link{peers: p, addr: addr, events: newSemaphore(p.cfg.Limits.EventsOut), work: newSemaphore(p.cfg.Limits.WorkOut)}
}

// session returns the session with the peer, and opens it if needed. While the peer is known to be out of reach, it returns an
// error at once and makes an attempt in the background; if patient is true, it waits for that attempt. It also waits if nobody
// tries the peer any more, because the peer was no member: what was known of it then no longer counts. The error is an errLost,
// errClosed or ctx's.
func (l *link) session(ctx context.Context, patient bool) (*session, error) {
	l.mu.Lock()
	if l.current != nil || l.closed {
		defer l.mu.Unlock()
		if l.closed {
			return nil, errClosed
		}
		return l.current, nil
	}
	o, why := l.opening, l.why
	patient = patient || !l.trying
	if o == nil && (patient || why == nil || time.Since(l.tried) >= redial) {
		o = &opening{done: make(chan struct{})}
		l.opening = o
		go l.open(o)
	}
	l.mu.Unlock()
	if why != nil && !patient {
		return nil, l.lost(why)
	}
	select {
	case <-o.done:
		return o.session, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
	}
}

// lost returns the errLost for a reason.
func (l *link) lost(why error) error { return fmt.Errorf("%w at %s: %w", errLost, l.addr, why) }

func (l *link) open(o *opening) {
	ctx, cancel := context.WithTimeout(l.peers.life, dialTimeout)
	defer cancel()
	s, err := openSession(ctx, l)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(o.done)
	l.opening, l.tried = nil, time.Now()
	if err == nil {
		err = s.failure() // the session may have ended already, and nobody else would report it
	}
	switch {
	case l.closed:
		o.err = errClosed
		if s != nil {
			go s.fail(errClosed)
		}
	case err != nil:
		o.err = l.lost(err)
		l.markDown(err)
	default:
		if l.warned {
			l.peers.cfg.Log.Info("the node can be reached again", "addr", l.addr)
		}
		o.session, l.current, l.why, l.warned = s, s, nil, false
	}
}

// markDown records why the peer is out of reach. l.mu must be held.
func (l *link) markDown(why error) {
	if l.why == nil {
		l.since = time.Now()
		l.peers.cfg.Log.Debug("the way to a node is lost", "addr", l.addr, "error", why)
	}
	l.current, l.why = nil, why
	if !l.trying {
		l.trying = true
		go l.retry()
	}
}

// warn logs, once, that a member has been out of reach for a while.
func (l *link) warn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == nil || l.warned || time.Since(l.since) < warnAfter || l.peers.life.Err() != nil {
		return
	}
	l.warned = true
	l.peers.cfg.Log.Warn("a node cannot be reached directly: does it run, and does the network let connections to its node port through? "+
		"Events go through another node meanwhile", "addr", l.addr, "error", l.why)
}

// tryOn starts retry for a peer that is out of reach and that nobody tries, such as one that was no member for a while.
func (l *link) tryOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil && !l.trying && !l.closed {
		l.trying = true
		go l.retry()
	}
}

// retry tries to reach a member that is out of reach, until it is reached or no longer a member.
func (l *link) retry() {
	for {
		ended := wait.For(l.peers.life, retryEvery) != nil
		member := l.peers.isMember(l.addr)
		if !ended && member {
			_, _ = l.session(l.peers.life, true)
			l.warn()
		}
		if l.settled(ended || !member) {
			return
		}
	}
}

// settled reports whether retry must end, because the peer is reached or nobody wants it any more.
func (l *link) settled(unwanted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !unwanted && l.why != nil && !l.closed {
		return false
	}
	l.trying = false
	return true
}

// ended is called by a session that has failed.
func (l *link) ended(s *session, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.current != s || l.closed:
	case errors.Is(why, errEnded): // the peer ended it in order; the next request finds out what is there now
		l.current = nil
	default:
		l.markDown(why)
		l.tried = time.Now().Add(-redial) // a restarted peer is tried at once
	}
}

// down returns why the peer is out of reach, or nil.
func (l *link) down() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// downFor returns how long the peer has been out of reach; 0 while it is reached or was not tried.
func (l *link) downFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == nil {
		return 0
	}
	return time.Since(l.since)
}

// forgotten reports whether the link may be removed, because it is down and nobody uses it. Peers.mu must be held.
func (l *link) forgotten() bool {
	if time.Since(l.used) < forgetAfter || !l.events.idle() || !l.work.idle() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current == nil && l.opening == nil && !l.trying
}

// send makes one attempt at a request. The error is an errLost, after which the work may have been done, ErrUnavailable if
// ctx ends, or errClosed.
func (l *link) send(ctx context.Context, req *wire.Request, size int) (*wire.Response, error) {
	s, err := l.session(ctx, false)
	if err != nil {
		return nil, err
	}
	return s.send(ctx, req, size)
}

// cut ends the session, and lets no other begin.
func (l *link) cut(why error) {
	l.mu.Lock()
	s := l.current
	l.closed, l.current = true, nil
	l.mu.Unlock()
	if s != nil {
		s.fail(why)
	}
}
