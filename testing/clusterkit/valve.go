package clusterkit

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Valve is a node's path to Redis. While it is shut, no byte passes and no connection ends, as behind a firewall that drops
// packets.
type Valve struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	shut     bool
	conns    map[net.Conn]bool
	work     sync.WaitGroup
}

// NewValve returns an open Valve that leads nowhere yet. It ends with the test.
func NewValve(t testing.TB) *Valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &Valve{listener: l, conns: map[net.Conn]bool{}}
	v.work.Go(v.accept)
	t.Cleanup(func() {
		_ = l.Close()
		v.Turn(false, "")
		v.work.Wait()
	})
	return v
}

// Addr returns the host:port that the node dials.
func (v *Valve) Addr() string { return v.listener.Addr().String() }

// Turn opens or shuts the valve, which leads to the host:port to. Opening it closes the connections that it had blocked.
func (v *Valve) Turn(shut bool, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut, v.to = shut, to
	if !shut {
		for conn := range v.conns {
			_ = conn.Close()
		}
		clear(v.conns)
	}
}

// lead returns where bytes go, or "" while none may pass.
func (v *Valve) lead() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shut {
		return ""
	}
	return v.to
}

func (v *Valve) keep(conns ...net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, conn := range conns {
		v.conns[conn] = true
	}
}

func (v *Valve) accept() {
	for {
		in, err := v.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		v.keep(in)
		to := v.lead()
		if to == "" {
			continue
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		v.keep(out)
		v.work.Go(func() { v.pass(out, in) })
		v.work.Go(func() { v.pass(in, out) })
	}
}

func (v *Valve) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if v.lead() == "" {
			_, _ = io.Copy(io.Discard, from) // until the connection is closed
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
