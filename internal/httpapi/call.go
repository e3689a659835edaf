package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// call is one request on its way through the API.
type call struct {
	w     recorder
	r     *http.Request
	at    time.Time // of receipt
	query url.Values
	room  string // for the routes of one room
	route *route // nil while unknown
	who   caller // set once its right is known
	held  share  // of the answer memory
	as    credentials
	audit *audit // of an admin action; nil for everything else
}

// recorder records what was answered. Unwrap lets http.ResponseController reach the connection's deadlines.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
	by     time.Time     // when everything must be written; zero: no limit
	stall  time.Duration // time in which a caller must take writeChunk bytes; 0: no limit
	ended  atomic.Bool   // set by interrupt
}

// writeChunk is how many bytes a caller must take within Limits.Stall.
const writeChunk = 32 << 10

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.status = cmp.Or(w.status, http.StatusOK)
	written := 0
	for {
		w.setDeadline()
		chunk := b[written:min(len(b), written+writeChunk)]
		n, err := w.ResponseWriter.Write(chunk)
		w.bytes += int64(n)
		if written += n; err != nil || written == len(b) {
			return written, err
		}
	}
}

// setDeadline sets the deadline for writing the next chunk. A writer without a connection (in a test) needs no deadline.
func (w *recorder) setDeadline() {
	if w.by.IsZero() {
		return
	}
	by := w.by
	if next := time.Now().Add(w.stall); w.stall > 0 && next.Before(by) {
		by = next
	}
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(by)
	if w.ended.Load() {
		w.interrupt()
	}
}

// interrupt makes the current write and all later ones fail. It may be called concurrently with them, until the handler
// returns.
func (w *recorder) interrupt() {
	w.ended.Store(true)
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// rest lifts the deadline until the next write. HTTP/2 resets a stream whose deadline passes, even if nothing is being written.
func (w *recorder) rest() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Time{})
	if w.ended.Load() {
		w.interrupt()
	}
}

// writeWithin sets when the connection's writes fail.
func (c *call) writeWithin(d time.Duration) {
	c.w.by = time.Now().Add(d)
	c.w.setDeadline()
}

// answerWait is how long a call that holds no memory waits for memory that others hold.
const answerWait = 2 * time.Second

// need reserves n bytes of memory for this call's answer, including what it is built from, in place of what the call held
// before. The first reservation may wait for memory to come free. A call that holds memory does not wait for more, since two
// such calls could wait for each other. Error: ErrBusy.
func (c *call) need(n int64) error {
	switch {
	case c.held.of == nil:
		return nil // endpoints that are open to everyone have small answers
	case c.held.n > 0 || n == 0:
		return c.held.need(n)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), answerWait)
	defer cancel()
	err := c.held.of.wait(ctx, c.who, n)
	if err == nil {
		c.held.n = n
	}
	return err
}

// begin sets bodyBy as the deadline for the body, including one that no handler reads and that the server itself discards.
// net/http lifts this deadline when the body ends, and the one for writing when the answer ends.
func (c *call) begin(bodyBy time.Time) {
	if c.r.Body != nil && c.r.Body != http.NoBody {
		_ = http.NewResponseController(c.w.ResponseWriter).SetReadDeadline(bodyBy)
	}
}

var (
	errTooLarge = errors.New("the body is too large")
	errTooSlow  = errors.New("the body did not arrive in time")
)

// readError distinguishes a slow body from one that ended early.
func readError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTooSlow
	}
	return err
}

// readSmall reads a body of at most limit bytes, or returns a problem.
func (c *call) readSmall(limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c.r.Body, limit+1))
	switch {
	case errors.Is(readError(err), errTooSlow):
		return nil, &problem{status: http.StatusRequestTimeout, text: "The body did not arrive in time", cause: err}
	case err != nil:
		return nil, &problem{status: http.StatusBadRequest, text: "The body ended early", cause: err}
	case int64(len(body)) > limit:
		return nil, refuse(http.StatusRequestEntityTooLarge, "The body is too large")
	}
	return body, nil
}
