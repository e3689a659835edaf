package cluster

import (
	"bytes"
	"container/list"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxStrangers limits the connections in their handshake (strangers). One more closes the oldest of them, so that connections that send
	// nothing never keep a node out.
	maxStrangers = 64
	// defaultMaxConns replaces a Config.MaxConns of 0.
	defaultMaxConns = 1024
)

// arrivals counts the open connections of a mux. It lists the strangers, which have not finished their handshake, oldest first.
type arrivals struct {
	limit     int
	mu        sync.Mutex
	open      int
	strangers *list.List // of *arrival
}

func newArrivals(limit int) *arrivals {
	if limit <= 0 {
		limit = defaultMaxConns
	}
	return &arrivals{limit: limit, strangers: list.New()}
}

// arrival is a connection that counts as open until it is closed.
type arrival struct {
	net.Conn
	all      *arrivals
	stranger *list.Element // nil once the handshake is done; under all.mu
	closed   bool          // under all.mu
}

// add counts a new connection. At a limit it closes the oldest stranger. Without a stranger to close, it closes the new connection if too
// many are open, and returns nil. full reports whether a limit was reached.
func (a *arrivals) add(conn net.Conn) (added *arrival, full bool) {
	var oldest *arrival
	a.mu.Lock()
	full = a.open >= a.limit || a.strangers.Len() >= maxStrangers
	if front := a.strangers.Front(); full && front != nil {
		oldest, _ = front.Value.(*arrival)
		oldest.forget()
	}
	if a.open < a.limit {
		added = &arrival{Conn: conn, all: a}
		added.stranger = a.strangers.PushBack(added)
		a.open++
	}
	a.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close()
	}
	if added == nil {
		_ = conn.Close()
	}
	return added, full
}

// forget removes a connection from the count. The caller holds all.mu.
func (c *arrival) forget() {
	if c.closed {
		return
	}
	c.closed = true
	c.all.open--
	c.known()
}

func (c *arrival) known() {
	if c.stranger != nil {
		c.all.strangers.Remove(c.stranger)
		c.stranger = nil
	}
}

// handshakeDone records that the handshake is done.
func (c *arrival) handshakeDone() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.known()
}

// Close implements net.Conn.
func (c *arrival) Close() error {
	c.all.mu.Lock()
	c.forget()
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// The causes of a refused handshake. Each one tells the operator what to do.
const (
	plainText  = "it does not use TLS and this node does: give --insecure to all nodes, or to none"
	speaksTLS  = "it uses TLS and this node, with --insecure, does not: give --insecure to all nodes, or to none"
	refusesUs  = "it refuses this node's certificate: compare LIVEKIT_API_SECRET and LIVEKIT_KEYS, or the --tls-* files, of both nodes; its log says more"
	hungUp     = "it closed the connection during the handshake: it may run with --insecure, have another LiveKit secret, or other --tls-* files; its log says more"
	notTrusted = "check --tls-ca, --tls-cert and --tls-key of both nodes"
)

// whyRefused returns the cause of a failed handshake on the accepting side. It returns "" if the other side may not be a node: it sent
// nothing, or nothing that a node would send.
func whyRefused(err error) string {
	var header tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &header):
		if knownProto(header.RecordHeader[0]) {
			return plainText
		}
		return ""
	case remoteAlert(err):
		return refusesUs
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return ""
	}
	return err.Error() // the error of a rejected certificate says what to do
}

// whyFailed returns what to do about a failed handshake on the dialing side, or "" if err itself says it.
func whyFailed(err error) string {
	var cert *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &cert):
		if len(cert.UnverifiedCertificates) > 0 && len(cert.UnverifiedCertificates[0].DNSNames)+len(cert.UnverifiedCertificates[0].IPAddresses) == 0 {
			return notTrusted + "; a node without these files presents a key that is derived from its LiveKit secret"
		}
		return notTrusted
	case remoteAlert(err):
		return refusesUs
	case errors.As(err, &network) && network.Timeout():
		return ""
	case errors.Is(err, io.EOF), errors.As(err, &network):
		return hungUp
	}
	return ""
}

// remoteAlert reports whether the other side of TLS ended the handshake with an alert.
func remoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func knownProto(b byte) bool {
	return b == protoRaft || b == protoRaftTo || b == protoPeer || b == protoRPC
}

// maxTurnedAway limits how many bytes of a request are read before its connection is closed. Closing with unread data could lose the answer.
const maxTurnedAway = 64 << 10

// turnAway answers a node that sends a request without TLS, so that its log names the cause too. The deadline of conn limits the time.
func turnAway(conn net.Conn) {
	body, err := json.Marshal(failure{Text: "this node uses TLS and the request does not: give --insecure to all nodes, or to none"})
	if err != nil {
		return
	}
	answer := http.Response{StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
	if err := answer.Write(conn); err == nil {
		_, _ = io.CopyN(io.Discard, conn, maxTurnedAway)
	}
}

// logEvery is the least time between two log lines of one kind about connections.
const logEvery = 10 * time.Second
