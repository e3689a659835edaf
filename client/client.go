// Package client talks to a rollcall node over HTTP.
//
// It promises that each method is one request (Rooms: one for each page; Events: one that is repeated when it breaks); that
// the context limits it; and that a node's refusal is returned as an *Error with the node's own words. It never shows the
// token, and imports no other package of rollcall.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer limits the size of an answer, in bytes.
	maxAnswer = 64 << 20
	// maxRetryAfter limits the wait that a node can ask for.
	maxRetryAfter = time.Hour
)

// ErrNotRollcall means that the server did not answer like a rollcall node: most likely the address belongs to another
// server.
var ErrNotRollcall = errors.New("the answer is not a rollcall node's")

// Error is a node's refusal.
type Error struct {
	// Status is the HTTP status: 400 or more, or that of a redirect, which is followed only if the request reads.
	Status int
	// Location is where a redirect leads.
	Location string
	// Message is the node's "error", or empty if it gave none.
	Message string
	// RetryAfter is how long the node asks to wait, 0 if it does not say.
	RetryAfter time.Duration
}

// Error returns the refusal in one line.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
}

// Client sends requests to one node. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// Option changes a Client that New makes.
type Option func(*Client)

// WithToken sends a bearer token: the admin token, or a LiveKit access token.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient sends requests with h instead of http.DefaultClient.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New makes a client for the node at addr: an http or https URL, or host:port, which means http.
func New(addr string, opts ...Option) (*Client, error) {
	full := addr
	if !strings.Contains(addr, "://") {
		full = "http://" + addr
	}
	u, err := url.Parse(full)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("the node's address is not a URL such as http://127.0.0.1:8080")
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), http: http.DefaultClient}
	for _, opt := range opts {
		opt(c)
	}
	direct := *c.http
	direct.CheckRedirect = readsOnly(direct.CheckRedirect)
	c.http = &direct
	return c, nil
}

// readsOnly follows redirects of requests that only read, as check says. An action must not be redirected: it would arrive as a GET of the same
// path, whose answer looks like a success.
func readsOnly(check func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		switch {
		case via[0].Method != http.MethodGet:
			return http.ErrUseLastResponse
		case check != nil:
			return check(next, via)
		case len(via) >= 10:
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
}

// Base returns the node's URL, without a trailing slash.
func (c *Client) Base() string { return c.base }

// get asks for one answer. path must already be escaped.
func get[A any](ctx context.Context, c *Client, path string) (A, error) {
	return send[A](ctx, c, http.MethodGet, path, nil)
}

// send sends one request and returns its answer, which is zero with an error.
func send[A any](ctx context.Context, c *Client, method, path string, in any) (A, error) {
	var answer, none A
	if err := c.do(ctx, method, path, in, &answer); err != nil {
		return none, err
	}
	return answer, nil
}

// do sends one request and decodes its answer into out. path must already be escaped.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.roundTrip(req, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRollcall, err)
	}
	return nil
}

// roundTrip sends a request with the token, if there is one.
func (c *Client) roundTrip(req *http.Request, accept string) (*http.Response, error) {
	req.Header.Set("Accept", accept)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req) // its error is a *url.Error, which names method and URL
}

func refusal(resp *http.Response, data []byte) error {
	e := &Error{Status: resp.StatusCode}
	if e.Status < 400 {
		e.Location = resp.Header.Get("Location")
	}
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &body) == nil {
		e.Message = body.Error
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	return e
}
