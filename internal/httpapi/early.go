package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// early answers a webhook without net/http, whose part of one takes a quarter of a node's processor time. It reports false for everything that is
// not exactly one whole webhook in the form in which LiveKit sends it; net/http reads that. What is answered is the same.
//
// The first request of a connection is always net/http's: it does not close a new connection at a shutdown before that is 5 s old.
func (a *api) early(conn *tracked, read []byte) bool {
	if a.hooks.slots.full() {
		return a.hooks.refuseEarly(conn, read)
	}
	if !conn.used {
		return false
	}
	d := &plain{conn: conn}
	var ok bool
	if d.token, d.data, ok = parseWebhook(read); !ok || !conn.beginEarly() {
		return false
	}
	defer conn.endEarly()
	at := time.Now()
	conn.stay(at)
	status, body, answer := http.StatusOK, []byte(webhookAccepted), []byte(nil)
	if p := a.takeEarly(at, d); p != nil {
		body, _ = encodeJSON(errorAnswer{Error: p.text}) // an errorAnswer always encodes
		status, answer = p.status, a.render(p, body, conn.ends(), time.Now())
	} else if answer = a.accepted.at(time.Now(), a); conn.ends() {
		answer = a.render(&problem{status: http.StatusOK}, body, true, time.Now())
	}
	took := time.Since(at)
	a.metrics.served(a.routes[webhookPath], status, took)
	if a.log.Enabled(context.Background(), slog.LevelDebug) {
		a.log.Debug("request", "method", http.MethodPost, "route", webhookPath, "status", status, "bytes", len(body), "took", took, "peer", d.peer())
	}
	conn.reply(answer) // last, so that whoever has the answer finds it counted
	return true
}

// takeEarly takes a delivery and returns nil, or the answer to one that is refused.
func (a *api) takeEarly(at time.Time, d *plain) (p *problem) {
	defer func() {
		if cause := recover(); cause != nil {
			p = a.panicked(a.routes[webhookPath], cause)
		}
	}()
	return a.hooks.take(at, d.token, d).answer
}

// plain is a webhook that was read without net/http.
type plain struct {
	conn  *tracked
	token string // the value of its only Authorization header
	data  []byte // the body, valid until the next read
}

func (d *plain) peer() string                           { return d.conn.RemoteAddr().String() }
func (d *plain) trust()                                 { d.conn.trust() }
func (d *plain) body(*webhooks) ([]byte, func(), error) { return d.data, func() {}, nil }

// render returns a whole answer as net/http would write it. A refusal for lack of a slot has no time.
func (a *api) render(p *problem, body []byte, last bool, now time.Time) []byte {
	h := http.Header{"Content-Type": jsonType}
	securityHeaders(h)
	maps.Copy(h, p.header)
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if len(a.access.origins()) > 0 {
		h.Set("Vary", "Origin")
	}
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	return rendered(p.status, h, body, last)
}

func rendered(status int, h http.Header, body []byte, last bool) []byte {
	var b bytes.Buffer
	_ = (&http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Close: last, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body))}).Write(&b) // a Buffer takes everything
	return b.Bytes()
}

// acceptance keeps the answer to a webhook that is accepted, which is the same for all in one second.
type acceptance struct{ kept atomic.Pointer[dated] }

type dated struct {
	second int64
	vary   bool
	answer []byte
}

// at returns the answer at a time.
func (k *acceptance) at(now time.Time, a *api) []byte {
	second, vary := now.Unix(), len(a.access.origins()) > 0
	if d := k.kept.Load(); d != nil && d.second == second && d.vary == vary {
		return d.answer
	}
	d := &dated{second, vary, a.render(&problem{status: http.StatusOK}, webhookAccepted, false, now)}
	k.kept.Store(d)
	return d.answer
}

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
	return rendered(p.status, h, body, false)
}()

// refuseEarly refuses a request for lack of a slot if the bytes are exactly one whole webhook; everything else is left
// to net/http. What a node spends on refusals is missing for the webhooks that it accepts, and net/http's part of a refusal is
// half as much work as a webhook: with twice as many webhooks as it can process, a node would do little but refuse.
//
// A write that blocks holds only its own connection, which counts as idle and goes when another one needs its place.
func (h *webhooks) refuseEarly(conn *tracked, read []byte) bool {
	h.refusals <- struct{}{}
	_, _, webhook := parseWebhook(read)
	<-h.refusals
	if !webhook {
		return false
	}
	at := time.Now()
	conn.stay(at)
	conn.reply(earlyRefusal)
	h.account(at, &plain{conn: conn}, kindUnverified, later(overloaded, late, errNoSlot))
	h.metrics.requests.WithLabelValues(webhookPath, strconv.Itoa(http.StatusServiceUnavailable)).Inc()
	h.metrics.requestTime.WithLabelValues(webhookPath).Observe(time.Since(at).Seconds())
	return true
}

// webhookStart is how each webhook begins.
var webhookStart = []byte("POST " + webhookPath + " HTTP/1.1\r\n")

// parseWebhook returns the token and the body of a webhook if the bytes are one whole request to the path of webhooks, after which its connection
// stays open. ok must not be true for less or more than a request: a proxy in front of this node would take the answer for that to another
// caller's request. It must not be true for what net/http would refuse either. It may be false for a webhook in an unusual form, which net/http
// then reads. The token is empty if there are several Authorization headers; see oneToken.
func parseWebhook(read []byte) (token string, body []byte, ok bool) {
	rest, ok := bytes.CutPrefix(read, webhookStart)
	var length, host, given []byte
	lengths, hosts, tokens := 0, 0, 0
	for ok {
		var line []byte
		if line, rest, ok = bytes.Cut(rest, []byte("\r\n")); ok && len(line) == 0 {
			break
		}
		name, value, isField := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		switch {
		case !isField || !isToken(name) || !isVisible(value):
			return "", nil, false
		case equalFold(name, "Content-Length"):
			length, lengths = value, lengths+1
		case equalFold(name, "Host"):
			host, hosts = value, hosts+1
		case equalFold(name, "Authorization"):
			given, tokens = value, tokens+1
		case equalFold(name, "Connection") && !equalFold(value, "keep-alive"), equalFold(name, "Transfer-Encoding"), equalFold(name, "Trailer"),
			equalFold(name, "Upgrade"), equalFold(name, "Expect"), equalFold(name, "Origin"):
			return "", nil, false
		}
	}
	if !ok || lengths != 1 || string(length) != strconv.Itoa(len(rest)) || hosts != 1 || !isHost(host) {
		return "", nil, false
	}
	if tokens == 1 {
		token = string(given)
	}
	return token, rest, true
}

// isHost reports whether the value of a Host header is a name or an address, with or without a port.
func isHost(value []byte) bool {
	for _, c := range value {
		if !isAlphanumeric(c) && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return len(value) > 0
}

// equalFold compares a header's name or value with a text, in any letter case.
func equalFold(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }

// isToken reports whether a header can have that name: letters, digits and dashes, which is less than HTTP allows.
func isToken(name []byte) bool {
	for _, c := range name {
		if c != '-' && !isAlphanumeric(c) {
			return false
		}
	}
	return len(name) > 0
}

func isAlphanumeric(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// isVisible reports whether a header's value is of visible ASCII characters and spaces.
func isVisible(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
