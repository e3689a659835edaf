package livekit

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxRefusal bounds how much of an error's body is read, in bytes.
const maxRefusal = 16 << 10

// tooMany is a 429. after is the Retry-After, or 0.
type tooMany struct{ after time.Duration }

func (tooMany) Error() string { return "429 Too Many Requests" }

// newTransport keeps one idle connection for each request that may run at once. The pings detect an HTTP/2 connection whose path has died, which
// would otherwise time out every request for minutes.
func newTransport(concurrency int) *http.Transport {
	dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
		// The bound on an answer's size must hold for the decoded bytes.
		DisableCompression: true,
	}
}

// receiver takes the answer to a request; it travels in the request's context.
type receiver struct {
	list    entries
	arrived func() // called whenever bytes arrive
}

type receiverKey struct{}

// receive reads the answer's entries. The generated client gets an empty answer instead: it would read the whole answer into memory and fail it
// for one faulty entry.
func receive(req *http.Request, resp *http.Response) error {
	r, ok := req.Context().Value(receiverKey{}).(*receiver)
	if !ok {
		return errors.New("nobody takes the answer's entries")
	}
	defer resp.Body.Close()
	r.arrived()
	if err := readEntries(&bounded{arriving{resp.Body, r.arrived}, maxAnswer}, r.list.take); err != nil {
		return err
	}
	r.list.end()
	resp.Body = http.NoBody
	return nil
}

// arriving calls arrived whenever bytes arrive.
type arriving struct {
	io.Reader
	arrived func()
}

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.arrived()
	}
	return n, err
}

// guard lets a 200 through only if it is certainly LiveKit's complete answer. An empty body is a valid protobuf of an empty list: the 200 of a
// captive portal or a broken proxy must not read as "nobody is there".
type guard struct{ base http.RoundTripper }

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if err := checkAnswer(resp); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
		if err := receive(req, resp); err != nil {
			return nil, err
		}
	case http.StatusTooManyRequests:
		_ = resp.Body.Close()
		return nil, tooMany{after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	default:
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxRefusal), resp.Body}
	}
	return resp, nil
}

func checkAnswer(resp *http.Response) error {
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/protobuf" {
		return fmt.Errorf("the answer is of type %.64q, not application/protobuf: something else than LiveKit answers there",
			resp.Header.Get("Content-Type"))
	}
	if resp.Header.Get("Content-Encoding") != "" {
		return errors.New("the answer is encoded, although no encoding was asked for")
	}
	if resp.ContentLength > maxAnswer {
		return fmt.Errorf("%w: it has %d bytes, and %d are read", errTooLarge, resp.ContentLength, maxAnswer)
	}
	// Such a body ends with the connection, so a truncated one looks complete.
	if resp.ContentLength < 0 && resp.ProtoMajor < 2 && len(resp.TransferEncoding) == 0 {
		return errors.New("the answer does not say how long it is")
	}
	return nil
}

// retryAfter parses seconds or a date; anything else is 0.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
