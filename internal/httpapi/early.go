package httpapi

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// refusalsAtOnce is how many requests are read at once only to be refused. The others wait without a processor, so that the webhooks that were
// accepted, and the leader's work, do not wait for hundreds of refusals before each of their turns.
const refusalsAtOnce = 4

// earlyRefusal is the whole answer to a webhook that is refused before net/http has read it: the one that serve gives for
// lack of a slot.
var earlyRefusal = func() []byte {
	p := later(overloaded, late, errNoSlot).answer
	body, _ := encodeJSON(errorAnswer{Error: p.text}) // an errorAnswer always encodes
	h := http.Header{"Content-Type": jsonType, "Retry-After": {strconv.Itoa(p.retry)}}
	securityHeaders(h)
	var b bytes.Buffer
	_ = (&http.Response{StatusCode: p.status, ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body))}).Write(&b) // a Buffer takes everything
	return b.Bytes()
}()

// refuseEarly answers a request if there is no slot for it and the bytes are exactly one whole webhook; everything else is left
// to net/http. What a node spends on refusals is missing for the webhooks that it accepts, and net/http's part of a refusal is
// half as much work as a webhook: with twice as many webhooks as it can process, a node would do little but refuse.
//
// A write that blocks holds only its own connection, which counts as idle and goes when another one needs its place.
func (h *webhooks) refuseEarly(conn net.Conn, read []byte) bool {
	if !h.slots.full() {
		return false
	}
	h.refusals <- struct{}{}
	webhook := isWebhook(read)
	<-h.refusals
	if !webhook {
		return false
	}
	at := time.Now()
	_, _ = conn.Write(earlyRefusal) // if the client is gone, the next read fails
	h.account(at, conn.RemoteAddr().String(), kindUnverified, later(overloaded, late, errNoSlot))
	h.metrics.requests.WithLabelValues(webhookPath, strconv.Itoa(http.StatusServiceUnavailable)).Inc()
	h.metrics.requestTime.WithLabelValues(webhookPath).Observe(time.Since(at).Seconds())
	return true
}

// webhookStart is how each webhook begins.
var webhookStart = []byte("POST " + webhookPath + " HTTP/1.1\r\n")

// isWebhook reports whether the bytes are one whole request to the path of webhooks, after which its connection stays open. It
// must not be true for less or more than a request: a proxy in front of this node would take the answer for that to another
// caller's request. It may be false for a webhook in an unusual form, which net/http then reads. It is not http.ReadRequest,
// with which a refusal costs a third more: under twice the load that a node can take, it then did half as many webhooks.
func isWebhook(read []byte) bool {
	rest, ok := bytes.CutPrefix(read, webhookStart)
	length, lengths := []byte(nil), 0
	for ok {
		var line []byte
		if line, rest, ok = bytes.Cut(rest, []byte("\r\n")); ok && len(line) == 0 {
			return lengths == 1 && string(length) == strconv.Itoa(len(rest))
		}
		name, value, isField := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		switch {
		case !isField || !isToken(name) || !isVisible(value):
			return false
		case equalFold(name, "Content-Length"):
			length, lengths = value, lengths+1
		case equalFold(name, "Connection") && !equalFold(value, "keep-alive"), equalFold(name, "Transfer-Encoding"), equalFold(name, "Trailer"),
			equalFold(name, "Upgrade"), equalFold(name, "Expect"), equalFold(name, "Origin"):
			return false
		}
	}
	return false
}

// equalFold compares a header's name or value with a text, in any letter case.
func equalFold(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }

// isToken reports whether a header can have that name: letters, digits and dashes, which is less than HTTP allows.
func isToken(name []byte) bool {
	for _, c := range name {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return len(name) > 0
}

// isVisible reports whether a header's value is of visible ASCII characters and spaces.
func isVisible(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
