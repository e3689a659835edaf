package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// call is one request on its way through the API.
type call struct {
	w     *recorder
	r     *http.Request
	at    time.Time // of receipt
	query url.Values
	room  string // for the routes of one room
	route *route // nil while unknown
}

// recorder notes what was answered. Unwrap lets http.ResponseController reach the connection's deadlines.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// writeWithin sets when the connection's writes fail. A writer without a connection (in a test) needs no deadline.
func (c *call) writeWithin(d time.Duration) {
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(d))
}

// begin gives a body until bodyBy, also one that no handler reads and the server itself discards. net/http lifts the
// deadline when the body has ended, as it lifts the one for writing when the answer has.
func (c *call) begin(bodyBy time.Time) {
	if c.r.Body != nil && c.r.Body != http.NoBody {
		_ = http.NewResponseController(c.w).SetReadDeadline(bodyBy)
	}
}

var (
	errTooLarge = errors.New("the body is too large")
	errTooSlow  = errors.New("the body did not arrive in time")
)

// readError tells a slow body from one that ended early.
func readError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTooSlow
	}
	return err
}

// readSmall reads a body of at most limit bytes, or answers with a problem.
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
