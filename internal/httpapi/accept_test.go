package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// unwilling is a listener that accepts nothing.
type unwilling struct {
	net.Listener
	err error
}

func (u unwilling) Accept() (net.Conn, error) { return nil, u.err }

// TestAcceptFailures checks that operators hear, once in a while, that a process has no file descriptor left for a connection.
func TestAcceptFailures(t *testing.T) {
	var log bytes.Buffer
	all := newConnections(4, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		_, _ = (&limited{Listener: unwilling{err: fmt.Errorf("accept: %w", syscall.EMFILE)}, all: all}).Accept()
	}
	if n := strings.Count(log.String(), "out of file descriptors"); n != 1 {
		t.Errorf("%d lines for three failures:\n%s", n, log.String())
	}
	log.Reset()
	all = newConnections(4, slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := (&limited{Listener: unwilling{err: net.ErrClosed}, all: all}).Accept(); err == nil || log.Len() > 0 {
		t.Errorf("a closed listener: %v, %s", err, log.String())
	}
}

// willing is a listener with as many connections as are asked for.
type willing struct{ net.Listener }

func (willing) Accept() (net.Conn, error) { return &pipeConn{}, nil }

// TestAFloodOfConnectionsWaits checks that connections are accepted slowly while goroutines wait for a processor, and only then.
func TestAFloodOfConnectionsWaits(t *testing.T) {
	for _, crowded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			all := newConnections(1000, slog.New(slog.DiscardHandler))
			all.crowded = func() bool { return crowded }
			l, begun := &limited{Listener: willing{}, all: all}, time.Now()
			for range 10 * acceptAtOnce {
				if _, err := l.Accept(); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begun); crowded && took != 10*acceptPause || !crowded && took > 0 {
				t.Errorf("crowded %v: %d connections took %v", crowded, 10*acceptAtOnce, took)
			}
		})
	}
}
