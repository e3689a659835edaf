package chaos

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// lag is a TCP proxy that forwards everything late, in both directions, in order. It is for kernels without netem: nodes are
// diverted to it while a fault lasts.
type lag struct {
	listener      net.Listener
	upstream      string
	delay, jitter time.Duration
	ctx           context.Context // the context of the connections
	cancel        context.CancelFunc
	done          sync.WaitGroup
	trouble       *trouble // for the answers; nil for none
}

// newLag listens on a free port of host and forwards to upstream, host:port, after delay to delay + jitter.
func newLag(host, upstream string, delay, jitter time.Duration, trouble *trouble) (*lag, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	p := &lag{listener: l, upstream: upstream, delay: delay, jitter: jitter, trouble: trouble}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.done.Go(p.accept)
	return p, nil
}

func (p *lag) addr() string { return p.listener.Addr().String() }

// Close ends the proxy and its connections, and waits until they have ended.
func (p *lag) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.done.Wait()
	return err
}

func (p *lag) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.carry(conn) })
	}
}

func (p *lag) carry(down net.Conn) {
	defer down.Close()
	up, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(p.ctx, "tcp", p.upstream)
	if err != nil {
		return
	}
	defer up.Close()
	stop := context.AfterFunc(p.ctx, func() { _, _ = down.Close(), up.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { p.pipe(up, down, nil) })
	both.Go(func() { p.pipe(down, up, p.trouble) })
	both.Wait()
}

// parcel is one read's data, and when it may be forwarded.
type parcel struct {
	data []byte
	due  time.Time
}

// pipe forwards what it reads from src to dst until either ends, and then ends both.
func (p *lag) pipe(dst, src net.Conn, trouble *trouble) {
	defer dst.Close()
	defer src.Close()
	parcels := make(chan parcel, 1024)
	go func() {
		defer close(parcels)
		var last time.Time
		lost := false
		for {
			data := make([]byte, 16<<10)
			n, err := src.Read(data)
			due := time.Now().Add(p.delay + time.Duration(rand.Int64N(int64(p.jitter)+1)))
			what, late := trouble.next()
			if what == reset {
				return // the data that was read is lost
			}
			due, lost = due.Add(late), lost || what == lose
			if due.Before(last) {
				due = last // a stream keeps its order
			}
			last = due
			if n > 0 && !lost {
				parcels <- parcel{data[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	err := deliver(dst, parcels)
	if err != nil {
		_ = src.Close() // ends the reader
	}
	for range parcels { // until the reader has ended
	}
}

func deliver(dst io.Writer, parcels <-chan parcel) error {
	for one := range parcels {
		timer := time.NewTimer(time.Until(one.due))
		<-timer.C
		if _, err := dst.Write(one.data); err != nil {
			return err
		}
	}
	return nil
}
