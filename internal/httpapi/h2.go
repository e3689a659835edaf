package httpapi

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// streamsAtOnce is how many requests one HTTP/2 connection may have open; see also connections.more.
const streamsAtOnce = 100

// boundHTTP2 makes a server close HTTP/2 connections whose preface, frame or header block is not complete within
// headerTimeout, as ReadHeaderTimeout does for HTTP/1. net/http's own HTTP/2 has no such limit.
//
//lint:file-ignore SA1019 the HTTP/2 of net/http, which should be used instead, has no way to limit a header block.
func boundHTTP2(s *http.Server) error {
	conf := &http2.Server{MaxConcurrentStreams: streamsAtOnce}
	if err := http2.ConfigureServer(s, conf); err != nil {
		return fmt.Errorf("set HTTP/2 up: %w", err)
	}
	s.TLSNextProto[http2.NextProtoTLS] = func(hs *http.Server, conn *tls.Conn, h http.Handler) {
		opts := &http2.ServeConnOpts{BaseConfig: hs, Handler: h}
		if base, ok := h.(interface{ BaseContext() context.Context }); ok { // net/http passes the connection's context this way
			opts.Context = base.BaseContext()
		}
		conf.ServeConn(newFrameGuard(conn, headerTimeout), opts)
	}
	return nil
}

const (
	prefaceBytes     = len(http2.ClientPreface)
	frameHeaderBytes = 9
)

// frameGuard follows the frames that a client sends and limits the time for each incomplete part: the preface, a frame, and
// a header block with its continuations. It is read by one goroutine.
type frameGuard struct {
	*tls.Conn
	within time.Duration

	need   int // bytes still to come of the part that is being read
	inside bool
	head   [frameHeaderBytes]byte
	got    int  // bytes of head that have been read
	block  bool // a header block has begun and not ended
	begun  bool // the deadline is set
}

func newFrameGuard(conn *tls.Conn, within time.Duration) *frameGuard {
	return &frameGuard{Conn: conn, within: within, need: prefaceBytes, inside: true}
}

// Read implements net.Conn.
func (g *frameGuard) Read(b []byte) (int, error) {
	if g.partial() && !g.begun {
		g.begun = true
		if err := g.SetReadDeadline(time.Now().Add(g.within)); err != nil {
			return 0, err
		}
	}
	n, err := g.Conn.Read(b)
	g.follow(b[:n])
	return n, err
}

// partial reports whether the client still has to send the rest of something.
func (g *frameGuard) partial() bool { return g.inside || g.got > 0 || g.block }

// follow processes what was read.
func (g *frameGuard) follow(data []byte) {
	for len(data) > 0 {
		if g.inside {
			n := min(len(data), g.need)
			g.need -= n
			data = data[n:]
			if g.need == 0 {
				g.completed()
			}
			continue
		}
		n := copy(g.head[g.got:], data)
		g.got += n
		data = data[n:]
		if g.got == frameHeaderBytes {
			g.frame()
		}
	}
}

// frame parses a frame's header.
func (g *frameGuard) frame() {
	length := int(binary.BigEndian.Uint32(append([]byte{0}, g.head[:3]...)))
	kind, flags := http2.FrameType(g.head[3]), http2.Flags(g.head[4])
	if kind == http2.FrameHeaders || kind == http2.FrameContinuation {
		g.block = !flags.Has(http2.FlagHeadersEndHeaders) // the same bit in both
	}
	g.got, g.need, g.inside = 0, length, length > 0
	if length == 0 {
		g.completed()
	}
}

// completed ends the preface or a frame. The time limit of a header block spans all of its frames.
func (g *frameGuard) completed() {
	g.inside = false
	if g.begun && !g.block {
		g.begun = false
		_ = g.SetReadDeadline(time.Time{}) // it fails on a closed connection, and the next Read reports that
	}
}

var _ net.Conn = (*frameGuard)(nil)
