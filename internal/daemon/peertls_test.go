package daemon

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/internal/certfile"
	"github.com/rollcallhq/rollcall/internal/config"
)

var noLog = slog.New(slog.DiscardHandler)

const day = 24 * time.Hour

func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	now := time.Now()
	a, err := authority.New("test", now, now.Add(3650*day))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// peerNode holds one node's files and what peerTLS makes of them.
type peerNode struct {
	files  config.PeerTLS
	server *tls.Config
	client *peerClient
}

// newPeer returns a node that trusts ca and presents a certificate of issuer, for these hosts and that long.
func newPeer(t *testing.T, ca, issuer *authority.Authority, lasts time.Duration, hosts ...string) *peerNode {
	t.Helper()
	dir := t.TempDir()
	n := &peerNode{files: config.PeerTLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}}
	n.trust(t, ca)
	n.show(t, issuer, lasts, hosts...)
	var err error
	if n.server, n.client, err = peerTLS(n.files, noLog); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *peerNode) trust(t *testing.T, all ...*authority.Authority) {
	t.Helper()
	var certs [][]byte
	for _, ca := range all {
		certs = append(certs, ca.Pair().Cert)
	}
	replaceFile(t, n.files.CAFile, bytes.Join(certs, nil))
}

func (n *peerNode) show(t *testing.T, issuer *authority.Authority, lasts time.Duration, hosts ...string) {
	t.Helper()
	now := time.Now()
	pair, err := issuer.Issue("node", hosts, now, now.Add(lasts))
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, n.files.CertFile, pair.Cert)
	replaceFile(t, n.files.KeyFile, pair.Key)
}

func replaceFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wire is one end of a pipe that accepts some writes before they are read, like a socket: a side that refuses sends an alert
// while the other may still be sending. Close it after its last write.
type wire struct {
	net.Conn
	queue chan []byte
}

func newWire(conn net.Conn) *wire {
	w := &wire{conn, make(chan []byte, 64)}
	go func() {
		for data := range w.queue {
			_, _ = conn.Write(data) // fails once the other end is closed
		}
	}()
	return w
}

func (w *wire) Write(data []byte) (int, error) {
	w.queue <- bytes.Clone(data)
	return len(data), nil
}

func (w *wire) Close() error {
	close(w.queue)
	return w.Conn.Close()
}

// talk sends a word from server to client. If either side refuses, it returns the error of one or both.
func talk(server, client *tls.Config) error {
	a, b := net.Pipe()
	near, far := newWire(a), newWire(b)
	served := make(chan error, 1)
	go func() {
		_, err := tls.Server(far, server).Write([]byte("word"))
		served <- err
	}()
	got := make([]byte, 4)
	_, err := io.ReadFull(tls.Client(near, client), got)
	err = errors.Join(err, near.Close(), <-served, far.Close())
	if err == nil && string(got) != "word" {
		err = errors.New("other bytes came than were sent")
	}
	return err
}

func TestPeersTalkOrAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, others := newAuthority(t), newAuthority(t)
		good := newPeer(t, ours, ours, 365*day, "n1.example.org", "10.0.0.1", "::1")
		short := newPeer(t, ours, ours, day, "n1.example.org")
		foreign := newPeer(t, ours, others, 365*day, "n1.example.org")
		time.Sleep(2 * day) // the certificate of short has expired
		none := good.client.config("n1.example.org")
		none.GetClientCertificate = nil
		old := good.client.config("n1.example.org")
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		for name, tt := range map[string]struct {
			server, client *tls.Config
			refusal        string
		}{
			"by name":                    {good.server, good.client.config("n1.example.org"), ""},
			"by IPv4 address":            {good.server, good.client.config("10.0.0.1"), ""},
			"by IPv6 address":            {good.server, good.client.config("::1"), ""},
			"another name":               {good.server, good.client.config("n2.example.org"), "not n2.example.org"},
			"another address":            {good.server, good.client.config("10.0.0.2"), "not 10.0.0.2"},
			"no host":                    {good.server, good.client.config(""), "ServerName"},
			"server of another CA":       {foreign.server, good.client.config("n1.example.org"), "unknown authority"},
			"client of another CA":       {good.server, foreign.client.config("n1.example.org"), "unknown authority"},
			"server's has ended":         {short.server, good.client.config("n1.example.org"), "expired"},
			"client's has ended":         {good.server, short.client.config("n1.example.org"), "expired"},
			"client without certificate": {good.server, none, "didn't provide a certificate"},
			"TLS 1.2":                    {good.server, old, "protocol version"},
		} {
			err := talk(tt.server, tt.client)
			if tt.refusal == "" && err != nil || tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)) {
				t.Errorf("%s: %v, want %q", name, err, tt.refusal)
			}
		}
	})
}

// TestPeersRotate replaces every certificate and then the authority while the nodes keep running.
func TestPeersRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newAuthority(t), newAuthority(t)
		nodes := []*peerNode{newPeer(t, first, first, 90*day, "n1"), newPeer(t, first, first, 90*day, "n2.example.org")}
		names := []string{"n1", "n2.example.org"}
		check := func(when string, good bool) {
			t.Helper()
			for i := range nodes {
				err := talk(nodes[i].server, nodes[1-i].client.config(names[i]))
				if (err == nil) != good {
					t.Errorf("%s, to %s: %v", when, names[i], err)
				}
			}
		}
		each := func(do func(i int, n *peerNode)) {
			for i, n := range nodes {
				do(i, n)
			}
			time.Sleep(certfile.CheckEvery)
		}
		check("at first", true)
		time.Sleep(80 * day)
		each(func(i int, n *peerNode) { n.show(t, first, 91*day, names[i]) })
		time.Sleep(20 * day)
		check("with new certificates, the first have ended", true)
		each(func(_ int, n *peerNode) { n.trust(t, first, second) })
		each(func(i int, n *peerNode) {
			if i == 0 {
				n.show(t, second, 900*day, names[i])
			}
		})
		check("under both authorities", true)
		each(func(i int, n *peerNode) { n.show(t, second, 900*day, names[i]) })
		each(func(_ int, n *peerNode) { n.trust(t, second) })
		check("under the second", true)
		nodes[1].show(t, first, 901*day, names[1])
		time.Sleep(certfile.CheckEvery)
		check("one under the first again", false)
	})
}

func TestPeerTLSWithUnreadableFiles(t *testing.T) {
	if _, _, err := peerTLS(config.PeerTLS{CAFile: "none.pem", CertFile: "none.pem", KeyFile: "none.key"}, noLog); err == nil || !strings.Contains(err.Error(), "--tls-") {
		t.Error(err)
	}
}
