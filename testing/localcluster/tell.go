package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/demo"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// lines is a writer for whole lines from many writers.
type lines struct {
	mu    sync.Mutex
	out   io.Writer
	ended bool
}

// Write implements io.Writer for writers of whole lines.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// quiet drops what nodes print from here on.
func (l *lines) quiet() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// prefixed returns a writer that puts a node's name before each of its lines.
func (l *lines) prefixed(name string) io.Writer { return &prefixed{lines: l, prefix: name + " | "} }

type prefixed struct {
	*lines
	prefix string
	rest   []byte
}

// Write implements io.Writer. The output of one process comes from one goroutine.
func (p *prefixed) Write(raw []byte) (int, error) {
	p.rest = append(p.rest, raw...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			return len(raw), nil
		}
		p.rest = rest
		p.mu.Lock()
		if !p.ended {
			fmt.Fprintf(p.out, "%s%s\n", p.prefix, line)
		}
		p.mu.Unlock()
	}
}

func stamp() string { return time.Now().Format("15:04:05.0") }

// introduce prints what runs where, and what to try.
func introduce(out io.Writer, c *cluster, redis *redisServer) {
	_, port, _ := net.SplitHostPort(redis.addr) // cannot fail: JoinHostPort made it
	var b strings.Builder
	fmt.Fprintf(&b, "Redis         redis-cli -p %s\n", port)
	fmt.Fprintf(&b, "LiveKit       %s   key %s   secret %s\n", c.livekit, livekittest.Key, livekittest.Secret)
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "%s            %s   pid %d\n", n.id, n.http, n.process().Pid())
	}
	fmt.Fprintf(&b, "participants  %d, who come and go in %s\n\n", c.participants, strings.Join(demo.Rooms(), ", "))
	first := c.nodes[0].http
	fmt.Fprintf(&b, "Try, in another terminal:\n")
	fmt.Fprintf(&b, "  %s cluster --addr %s   # who leads; any node knows\n", c.rollcall, first)
	fmt.Fprintf(&b, "  %s status --addr %s\n", c.rollcall, first)
	fmt.Fprintf(&b, "  %s sync --addr %s      # done by the leader, whichever is asked\n", c.rollcall, c.nodes[1].http)
	fmt.Fprintf(&b, "  kill -9 %d   # the others take over its rooms; it is started again after %v\n\n", c.nodes[0].process().Pid(), c.again)
	fmt.Fprintf(&b, "Below are the changes of rooms:participants:* in Redis, and the nodes' warnings. Ctrl-C ends everything.\n\n")
	_, _ = io.WriteString(out, b.String())
}
