package prometheus

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a path between two processes that a test can make slow, break or shut.
type gate struct {
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	to      string
	refused func(caller net.Addr) bool // nil for nobody
	delay   time.Duration              // of each answer
	lose    int                        // one of so many answers is lost, together with its connection; 0 for none
	answers int
	conns   map[net.Conn]bool // those that callers have opened
}

// newGate returns an open gate that leads nowhere yet. It ends with the test.
func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, conns: map[net.Conn]bool{}}
	g.work.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close()
		g.refuse(func(net.Addr) bool { return true })
		g.work.Wait()
	})
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// change applies a change under the lock.
func (g *gate) change(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
}

func (g *gate) lead(to string) { g.change(func() { g.to = to }) }

// slow delays every answer from now on.
func (g *gate) slow(by time.Duration) { g.change(func() { g.delay = by }) }

// breaks loses one of so many answers from now on, together with its connection: what was asked for has been done. 0 ends that.
func (g *gate) breaks(one int) { g.change(func() { g.lose = one }) }

// refuse closes the connections of these callers, and refuses new ones. nil ends that.
func (g *gate) refuse(whose func(caller net.Addr) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = whose
	for conn := range g.conns {
		if whose != nil && whose(conn.RemoteAddr()) {
			_ = conn.Close()
		}
	}
}

func (g *gate) accept() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.work.Go(func() { g.carry(in) })
	}
}

// carry forwards one connection.
func (g *gate) carry(in net.Conn) {
	defer in.Close()
	g.mu.Lock()
	to, refused := g.to, g.refused != nil && g.refused(in.RemoteAddr())
	if !refused {
		g.conns[in] = true
	}
	g.mu.Unlock()
	if refused {
		return
	}
	defer g.change(func() { delete(g.conns, in) })
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	ended := make(chan struct{}, 2)
	g.work.Go(func() { _, _ = io.Copy(out, in); ended <- struct{}{} })
	g.work.Go(func() { g.answer(in, out); ended <- struct{}{} })
	<-ended
}

// answer passes answers on.
func (g *gate) answer(in, out net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		if err != nil {
			return
		}
		g.mu.Lock()
		g.answers++
		delay, lost := g.delay, g.lose > 0 && g.answers%g.lose == 0
		g.mu.Unlock()
		wait := time.NewTimer(delay)
		<-wait.C
		if lost {
			return
		}
		if _, err := in.Write(buf[:n]); err != nil {
			return
		}
	}
}

// holds reports whether a process has the connection from this address, by what Linux says.
func holds(pid int, from net.Addr) bool {
	tcp, ok := from.(*net.TCPAddr)
	table, err := os.ReadFile("/proc/net/tcp")
	if !ok || err != nil {
		return false
	}
	local := fmt.Sprintf("0100007F:%04X", tcp.Port)
	for line := range strings.Lines(string(table)) {
		const address, inode = 1, 9
		fields := strings.Fields(line)
		if len(fields) <= inode || fields[address] != local {
			continue
		}
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, file := range files {
			if name, err := os.Readlink(file); err == nil && name == "socket:["+fields[inode]+"]" {
				return true
			}
		}
	}
	return false
}
