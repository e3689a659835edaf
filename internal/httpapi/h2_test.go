package httpapi

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestUnfinishedHTTP2 begins a part of HTTP/2 and does not complete it. The connection must end within the time for headers
// although some bytes continue to arrive; a connection with nothing incomplete must stay.
func TestUnfinishedHTTP2(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first.example")
	r := newRig(t, &node{}, func(c *Config) { c.TLSCert, c.TLSKey = cert, key })
	addr := serveRig(t, r).String()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/livez"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	frames := func(do func(f *http2.Framer) error) []byte {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		f := http2.NewFramer(&b, nil)
		if err := errors.Join(f.WriteSettings(), do(f)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	trickle := frames(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:1]})
	})
	for name, tt := range map[string]struct {
		begin []byte
		more  []byte // sent every second
		stays bool
	}{
		"nothing":                   {},
		"half a preface":            {begin: []byte(http2.ClientPreface[:10])},
		"half a frame":              {begin: frames(func(*http2.Framer) error { return nil })[:len(http2.ClientPreface)+4]},
		"a header block":            {begin: trickle},
		"a header block that grows": {begin: trickle, more: []byte{0, 0, 0, byte(http2.FrameContinuation), 0, 0, 0, 0, 1}},
		"a whole request": {begin: frames(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		}), stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			start := time.Now()
			if _, err := conn.Write(tt.begin); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			}()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			const much = headerTimeout + 4*time.Second // with the fault it took twelve seconds
			for {
				select {
				case <-ended:
					if tt.stays {
						t.Error("it was ended")
					}
					return
				case <-tick.C:
					if tt.more != nil {
						_, _ = conn.Write(tt.more)
					}
					if time.Since(start) > much {
						if !tt.stays {
							t.Errorf("it is still open after %v", much)
						}
						return
					}
				}
			}
		})
	}
}
