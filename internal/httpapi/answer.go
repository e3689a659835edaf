package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// problem is an answer other than success. Only text is shown to the caller; cause is for the log and for errors.Is.
type problem struct {
	status int
	text   string
	retry  int // seconds for Retry-After; 0 for none
	header http.Header
	cause  error
}

func (p *problem) Error() string { return p.text }

func (p *problem) Unwrap() error { return p.cause }

func refuse(status int, text string) *problem { return &problem{status: status, text: text} }

// clientGone is the status of an answer that nobody waits for; it is for logs and metrics. Something must be sent even so:
// net/http would send 200 for a handler that wrote nothing.
const clientGone = 499

// explain turns any error of a handler into the problem to answer with.
func explain(err error) *problem {
	var p *problem
	var r Refused
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &r):
		return &problem{status: http.StatusConflict, text: r.Reason, cause: err}
	case errors.Is(err, ErrNoLeader):
		return &problem{status: http.StatusServiceUnavailable, text: "The cluster has no leader now; try again shortly", retry: 1, cause: err}
	case errors.Is(err, ErrBusy):
		return &problem{status: http.StatusServiceUnavailable, text: "Too much is queued already; try again shortly", retry: 4, cause: err}
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{status: http.StatusServiceUnavailable, text: "This cannot be done now; try again shortly", retry: 1, cause: err}
	}
	return &problem{status: http.StatusInternalServerError, text: "Internal error; the log of this node says more", cause: err}
}

type errorAnswer struct {
	Error string `json:"error"`
}

// pieces are the consecutive parts of a body. Large values from Redis are parts of their own, so that nothing copies them.
type pieces [][]byte

func (p pieces) size() (n int64) {
	for _, piece := range p {
		n += int64(len(piece))
	}
	return n
}

// smallAnswer is the size up to which an answer is not counted: it costs no more than its connection does.
const smallAnswer = 4 << 10

// keep sets the call's share of the answer memory to the size of its finished answer. Error: ErrBusy.
func (c *call) keep(n int64) error {
	if n <= smallAnswer {
		n = 0
	}
	return c.need(n)
}

// encode returns a JSON answer. A RawMessage and pieces are sent as they are.
func encode(value any) (pieces, error) {
	switch v := value.(type) {
	case json.RawMessage:
		return pieces{v}, nil
	case pieces:
		return v, nil
	}
	b, err := encodeJSON(value)
	return pieces{b}, err
}

func encodeJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return b.Bytes(), err
}

// send writes a complete JSON answer; the client has the time within to fetch it.
func (c *call) send(status int, body pieces, within time.Duration) {
	h := c.w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.FormatInt(body.size(), 10))
	c.w.by = time.Now().Add(within)
	if c.r.Method == http.MethodHead || len(body) == 0 {
		c.w.setDeadline() // as each Write does
		c.w.WriteHeader(status)
		return
	}
	c.w.WriteHeader(status)
	for i, piece := range body {
		if _, err := c.w.Write(piece); err != nil {
			return // the client is gone: there is nobody to tell
		}
		body[i] = nil
	}
}

// sendProblem cannot fail: an errorAnswer always encodes.
func (c *call) sendProblem(p *problem, within time.Duration) {
	h := c.w.Header()
	maps.Copy(h, p.header)
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	body, _ := encode(errorAnswer{Error: p.text})
	c.send(p.status, body, within)
}
