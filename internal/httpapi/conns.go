package httpapi

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// defaultConnections replaces a Limits.Connections of 0.
const defaultConnections = 512

// The time for which a connection that has not sent a request is kept, however many others come. A handshake takes longer
// than a request.
const (
	connGrace = 250 * time.Millisecond
	tlsGrace  = 500 * time.Millisecond
)

// While goroutines wait too long for a processor, acceptAtOnce connections are accepted and then none for acceptPause. The others
// wait in the system's queue, where they cost nothing: a flood of them would take the processor from the webhooks that are in
// flight, and from the leader's work.
const (
	acceptAtOnce = 16
	acceptPause  = 20 * time.Millisecond
)

// The reasons for closing a connection to make room, in the order in which they are tried.
const (
	closedStranger = "idle_unauthenticated"    // none of its requests had an accepted token or signature, and none is being answered
	closedIdle     = "idle"                    // no request is being answered
	closedServed   = "serving_unauthenticated" // it is being sent what everybody may ask for
	closedNew      = "refused"                 // all others are being answered: the new one was closed
)

// connections limits the open connections. When the limit is reached, a new connection replaces another one, so that nobody
// can keep others out by holding connections open. It is safe for concurrent use.
type connections struct {
	limit  int
	grace  time.Duration // time for which a connection stays if others can go
	log    *slog.Logger
	closed func(reason string) // counts
	// early, if set, answers the bytes of a new request and reports whether it did.
	early func(conn *tracked, read []byte) bool
	// crowded, if set, reports whether goroutines wait too long for a processor.
	crowded func() bool

	mu   sync.Mutex
	open int
	// more counts the requests that connections without an accepted token or signature have open besides their first: only HTTP/2 has such. Each
	// takes as much memory as a connection, so moreStrangers limits them.
	more int
	// Each connection is in at most one of these lists, the oldest entry first. Connections that are being answered after an
	// accepted token or signature are in none.
	strangers, idle, served *list.List            // of *tracked
	answering               map[*tracked]struct{} // those of which a request is being answered early
	none                    chan struct{}         // closed once answering is empty; nil while nobody waits for that

	near, failed logLimiter // for the log lines
}

func newConnections(limit int, log *slog.Logger) *connections {
	return &connections{limit: cmp.Or(limit, defaultConnections), log: log, closed: func(string) {}, strangers: list.New(), idle: list.New(), served: list.New(),
		answering: map[*tracked]struct{}{}}
}

// tracked is a connection that counts until it is closed. The fields below Conn are guarded by all.mu.
type tracked struct {
	net.Conn
	all     *connections
	since   time.Time // when it was accepted
	gone    bool
	trusted bool // one of its requests had an accepted token or signature
	serving int  // number of requests whose handler runs
	in      *list.List
	element *list.Element
	closing bool // net/http has closed it while a request was being answered early

	// Only the goroutine that reads the connection uses these. between is set while net/http waits for a request, and used once net/http has
	// answered one. stays is when the connection was last given the time that one may idle. deadlines counts the calls of SetReadDeadline that
	// net/http makes between two requests.
	between, used bool
	stays         time.Time
	deadlines     int
}

// emptyBuffer is the size of net/http's buffer of a connection. It asks for that many bytes only if the buffer is empty.
const emptyBuffer = 4096

// Read implements net.Conn. A request that is answered early does not reach net/http, which keeps waiting for one.
func (c *tracked) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && c.between && len(p) == emptyBuffer && c.all.early != nil && c.all.early(c, p[:n]) {
			continue
		}
		if n > 0 && !c.stays.IsZero() {
			c.stays = time.Time{}
			_ = c.SetWriteDeadline(time.Time{}) // net/http expects none
			if !c.used {
				_ = c.Conn.SetReadDeadline(time.Now().Add(headerTimeout)) // net/http has set it for its first request, and stay has replaced it
			}
		}
		c.between = c.between && n == 0
		return n, err
	}
}

// SetReadDeadline implements net.Conn. Between two requests net/http calls it once to wait for the next one, and again when it has some bytes of it,
// perhaps from the packet of the request before. Then the next read is of the rest, whatever that looks like.
func (c *tracked) SetReadDeadline(t time.Time) error {
	if c.deadlines > 0 {
		if c.deadlines++; c.deadlines > 2 {
			c.deadlines, c.between = 0, false
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// stay gives the connection the time that it has between any two requests, for the answer and for the next request. With the shorter time that a
// new connection has, it could be closed just when the next webhook is sent on it. Call it before the work on a request.
func (c *tracked) stay(now time.Time) {
	if now.Sub(c.stays) > time.Second { // seldom, because it costs as much as the rest of a read
		c.stays = now
		_ = c.SetDeadline(now.Add(idleTimeout))
	}
}

// reply writes an early answer. The connection ends if that fails: after a part of an answer, the next one would be read as the rest of it.
func (c *tracked) reply(answer []byte) {
	if _, err := c.Conn.Write(answer); err != nil {
		_ = c.Conn.Close() // the next read fails
	}
}

// noteState learns from net/http that a request has ended and its answer is written, or that the next one has begun: its head may have come
// together with the request before, and then the next read is of its body. It is for http.Server.ConnState. A
// connection with TLS is not answered at this level: its bytes cannot be read here.
func noteState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*tracked); ok && (state == http.StateIdle || state == http.StateActive) {
		c.between, c.deadlines = state == http.StateIdle, 0
		if c.between {
			c.used, c.deadlines = true, 1
		}
	}
}

// beginEarly notes that a request is being answered early, and reports false if the connection is being closed. Until endEarly net/http, to
// which the connection seems idle, does not close it.
func (c *tracked) beginEarly() (ok bool) {
	c.change(func() {
		if ok = !c.gone && !c.closing; ok {
			c.serving++
			c.all.answering[c] = struct{}{}
		}
	})
	return ok
}

// ends reports whether the connection is closed after the answer.
func (c *tracked) ends() bool {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.closing
}

// endEarly closes the connection if net/http has closed it meanwhile.
func (c *tracked) endEarly() {
	closing := false
	c.change(func() {
		c.serving--
		closing = c.closing
		delete(c.all.answering, c)
		if len(c.all.answering) == 0 && c.all.none != nil {
			close(c.all.none)
			c.all.none = nil
		}
	})
	if closing {
		_ = c.Close()
	}
}

// awaitEarly returns when no request is being answered early. If ctx ends first, it cuts those connections and returns the error of ctx.
func (t *connections) awaitEarly(ctx context.Context) error {
	t.mu.Lock()
	if len(t.answering) == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.none == nil {
		t.none = make(chan struct{})
	}
	none := t.none
	t.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.answering {
		_ = c.Conn.Close()
	}
	return ctx.Err()
}

// move puts c into the list where it now belongs. The caller holds all.mu.
func (c *tracked) move() {
	var to *list.List
	switch {
	case c.gone || c.serving > 0 && c.trusted:
	case c.serving > 0:
		to = c.all.served
	case c.trusted:
		to = c.all.idle
	default:
		to = c.all.strangers
	}
	if to == c.in {
		return
	}
	if c.in != nil {
		c.in.Remove(c.element)
	}
	c.in, c.element = to, nil
	if to != nil {
		c.element = to.PushBack(c)
	}
}

// forget removes c from the count. The caller holds all.mu.
func (c *tracked) forget() {
	if !c.gone {
		c.gone = true
		c.all.open--
		c.move()
	}
}

// change applies a change to c and moves it to the list where it then belongs. A nil c is a request that came by none of our
// listeners.
func (c *tracked) change(do func()) {
	if c == nil {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	do()
	c.move()
}

// moreStrangers is the share of the limit of connections to which connections.more is limited.
const moreStrangers = 4

// enter notes that a request begins. It reports false if strangers have too many open; then leave must not follow.
func (c *tracked) enter() (ok bool) {
	ok = true
	c.change(func() {
		if c.serving > 0 && !c.trusted {
			if ok = c.all.more < max(1, c.all.limit/moreStrangers); !ok {
				return
			}
			c.all.more++
		}
		c.serving++
	})
	return ok
}

func (c *tracked) leave() {
	c.change(func() {
		c.serving--
		if c.serving > 0 && !c.trusted {
			c.all.more--
		}
	})
}

func (c *tracked) trust() {
	c.change(func() {
		if !c.trusted {
			c.trusted = true
			c.all.more -= max(0, c.serving-1)
		}
	})
}

// CloseWrite lets net/http end an answer before it closes the connection. Otherwise the unread rest of a body would reset
// the connection, and the answer would be lost.
func (c *tracked) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn. A connection on which a request is being answered early is closed after the answer.
func (c *tracked) Close() error {
	c.all.mu.Lock()
	_, answering := c.all.answering[c]
	if answering {
		c.closing = true
	} else {
		c.forget()
	}
	c.all.mu.Unlock()
	if answering {
		return nil
	}
	return c.Conn.Close()
}

// wait returns when there is room, or when a connection that may go has had its grace, which is the time until its first
// request is read. Meanwhile new connections wait in the system's queue, so that a flood of them does not push out one that
// has just come.
func (t *connections) wait(grace time.Duration) {
	for end := time.Now().Add(grace); time.Now().Before(end); time.Sleep(grace / 50) {
		t.mu.Lock()
		victim, _ := t.choose(grace)
		full := t.open >= t.limit
		t.mu.Unlock()
		if !full || victim != nil {
			return
		}
	}
}

// choose returns the connection that must go for a new one, among those accepted at least grace ago, and the reason. The
// caller holds mu.
func (t *connections) choose(grace time.Duration) (victim *tracked, reason string) {
	for _, from := range []struct {
		list   *list.List
		reason string
	}{{t.strangers, closedStranger}, {t.idle, closedIdle}, {t.served, closedServed}} {
		if first := from.list.Front(); first != nil {
			if oldest, _ := first.Value.(*tracked); time.Since(oldest.since) >= grace {
				return oldest, from.reason
			}
		}
	}
	return nil, ""
}

// add counts a connection and makes room for it. If there is no room, it closes conn and returns nil.
func (t *connections) add(conn net.Conn) *tracked {
	t.mu.Lock()
	victim, reason := t.makeRoom()
	var added *tracked
	if t.open < t.limit {
		added = &tracked{Conn: conn, all: t, since: time.Now(), between: true}
		t.open++
		added.move()
	}
	open := t.open
	t.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close()
	}
	if added == nil {
		_ = conn.Close()
	}
	if reason != "" {
		t.closed(reason)
	}
	t.warn(open, reason)
	return added
}

// makeRoom removes from the count the connection that must go; the caller closes it. The reason is empty while there is
// room. The caller holds mu.
func (t *connections) makeRoom() (victim *tracked, reason string) {
	if t.open < t.limit {
		return nil, ""
	}
	if victim, reason = t.choose(t.grace); victim == nil {
		victim, reason = t.choose(0)
	}
	if victim == nil {
		return nil, closedNew
	}
	victim.forget()
	return victim, reason
}

// warn logs, rate-limited, that the limit is near or was reached.
func (t *connections) warn(open int, reason string) {
	if open*5 < t.limit*4 {
		return
	}
	if skipped, ok := t.near.now(time.Now()); ok {
		t.log.Warn("the limit of open HTTP connections is nearly reached: idle ones are closed for new ones; "+
			"find out who connects, or raise the limit of file descriptors (LimitNOFILE, ulimit -n)",
			"open", open, "limit", t.limit, "closed", reason, "suppressed", skipped)
	}
}

// cannotAccept logs, rate-limited, that the system gives no connection. net/http tries again, and logs nothing that operators see.
func (t *connections) cannotAccept(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	if _, ok := t.failed.now(time.Now()); ok {
		t.log.Warn("an HTTP connection could not be accepted and is tried again: is this process out of file descriptors (LimitNOFILE, ulimit -n)?", "error", err)
	}
}

func (t *connections) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.open)
}

// limited is a listener whose connections count. One goroutine accepts from it.
type limited struct {
	net.Listener
	all      *connections
	accepted int
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		if l.accepted++; l.accepted%acceptAtOnce == 0 && l.all.crowded != nil && l.all.crowded() {
			time.Sleep(acceptPause)
		}
		l.all.wait(l.all.grace)
		conn, err := l.Listener.Accept()
		if err != nil {
			l.all.cannotAccept(err)
			return nil, err
		}
		if added := l.all.add(conn); added != nil {
			return added, nil
		}
	}
}

type connKey struct{}

// withConn makes a connection known to the requests that arrive on it. It is for http.Server.ConnContext.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if c, ok := conn.(*tracked); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// connOf returns nil for a request that came by none of our listeners.
func connOf(r *http.Request) *tracked {
	c, _ := r.Context().Value(connKey{}).(*tracked)
	return c
}

// counting counts a request on its connection while its handler runs, and refuses it if strangers have too many open.
func counting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r)
		if !c.enter() {
			// Without a body, which the caller could leave unread.
			securityHeaders(w.Header())
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer c.leave()
		h.ServeHTTP(w, r)
	})
}
