package remote

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// links are this node's streams to its peers, and what is known of peers that it has none to.
type links struct {
	log    *slog.Logger
	calls  *calls
	outbox outbox

	mu    sync.Mutex
	live  map[*link]struct{}
	away  map[string]away
	ended bool
}

// away is a peer that could not be reached, or was lost.
type away struct {
	until time.Time // when it may be tried again
	why   error
}

func newLinks(log *slog.Logger, calls *calls) *links {
	return &links{log: log, calls: calls, outbox: outbox{unsent: map[string]int{}}, live: map[*link]struct{}{}, away: map[string]away{}}
}

// open is the interceptor that makes each stream to a peer. It never fails: the library would sleep for 2 s and hold back
// what is sent meanwhile. A stream that cannot be had is one that ends as soon as the library has taken it for good.
func (l *links) open(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer,
	opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	k := &link{links: l, addr: cc.Target(), ctx: ctx, cancel: cancel, told: make(chan struct{}), over: make(chan struct{})}
	l.mu.Lock()
	l.live[k] = struct{}{}
	if l.ended {
		cancel()
	}
	l.mu.Unlock()
	limit := time.AfterFunc(dialTimeout, cancel)
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if !limit.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	k.become(stream, err)
	return k, nil
}

// reached notes that a peer has welcomed us.
func (l *links) reached(addr string) {
	l.mu.Lock()
	_, was := l.away[addr]
	delete(l.away, addr)
	l.mu.Unlock()
	if was {
		l.log.Info("the node can be reached again", "addr", addr)
	}
}

// fail notes why a peer cannot be reached.
func (l *links) fail(addr string, why error) {
	l.mu.Lock()
	_, was := l.away[addr]
	l.away[addr] = away{time.Now().Add(redial), why}
	told := was || l.ended
	l.mu.Unlock()
	if !told {
		l.log.Warn("a node cannot be reached: does it run, and does the network let its --actor-addr through?", "addr", addr, "err", why)
	}
}

// down is an errLost while a peer that could not be reached is left alone.
func (l *links) down(addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.away[addr]; ok && time.Now().Before(a.until) {
		return fmt.Errorf("%w (%s): %w", errLost, addr, a.why)
	}
	return nil
}

// announced is called once the library has told itself that it is connected.
func (l *links) announced(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.live {
		if k.addr == addr {
			k.tell()
		}
	}
}

// lost is called once the library has dropped a link: what was sent over it may be lost, and so may what waited.
func (l *links) lost(addr string) {
	l.mu.Lock()
	a := l.away[addr]
	l.mu.Unlock()
	err := fmt.Errorf("%w (%s)", errLost, addr)
	if a.why != nil {
		err = fmt.Errorf("%w: %w", err, a.why)
	}
	l.outbox.drop(addr)
	l.calls.lost(addr, err)
}

func (l *links) remove(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, k)
}

// close ends all streams: in good order, so that the peers have read what they were sent, or when ctx ends.
func (l *links) close(ctx context.Context) {
	l.mu.Lock()
	l.ended = true
	all := make([]*link, 0, len(l.live))
	for k := range l.live {
		all = append(all, k)
	}
	l.mu.Unlock()
	for _, k := range all {
		k.finish()
	}
	for _, k := range all {
		select {
		case <-k.over:
		case <-ctx.Done():
		}
		k.cancel()
	}
	for _, k := range all {
		select {
		case <-k.over:
		case <-time.After(dialTimeout): // it never got so far as to be listened to
		}
	}
}

// outbox counts the answers that wait in the library's queues, by the peer's address.
type outbox struct {
	mu     sync.Mutex
	unsent map[string]int
}

func (o *outbox) add(addr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsent[addr]++
}

func (o *outbox) sent(addr string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unsent[addr] -= n; o.unsent[addr] <= 0 {
		delete(o.unsent, addr)
	}
}

// drop forgets what the library has dropped.
func (o *outbox) drop(addr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.unsent, addr)
}

func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.unsent) == 0
}

// flush waits until all is sent, or ctx ends.
func (o *outbox) flush(ctx context.Context) {
	for !o.empty() && pause(ctx, 5*time.Millisecond) == nil {
	}
}
