package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
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
		_, _ = limited{unwilling{err: fmt.Errorf("accept: %w", syscall.EMFILE)}, all}.Accept()
	}
	if n := strings.Count(log.String(), "out of file descriptors"); n != 1 {
		t.Errorf("%d lines for three failures:\n%s", n, log.String())
	}
	log.Reset()
	all = newConnections(4, slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := (limited{unwilling{err: net.ErrClosed}, all}).Accept(); err == nil || log.Len() > 0 {
		t.Errorf("a closed listener: %v, %s", err, log.String())
	}
}
