package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Handler answers one kind of request of another node: JSON in, a value out that is sent as JSON.
type Handler func(ctx context.Context, body []byte) (any, error)

const (
	maxPeerBody   = 64 << 20
	peerIdle      = 30 * time.Second
	peerPrefix    = "/v1/"
	handlerPrefix = "/app/"
)

// failure is an error on its way to another node. Code names a sentinel that both know, or nothing.
type failure struct {
	Code string `json:"code,omitempty"`
	Text string `json:"error"`
}

// codes are the sentinels that keep their identity on the way. Add, never rename: nodes of two versions may talk.
func codes() map[string]error {
	return map[string]error{"not-leader": ErrNotLeader, "no-leader": ErrNoLeader, "term-ended": ErrTermEnded,
		"unknown-outcome": ErrOutcomeUnknown, "removed": ErrRemoved, "unknown-node": ErrUnknownNode, "closed": ErrClosed,
		"quorum": ErrQuorum, "no-heir": ErrNoHeir}
}

// RemoteError is what another node answered.
type RemoteError struct {
	Text  string
	cause error // the sentinel, or nil
	// unknown says that the other node's build does not know the request.
	unknown bool
}

// Error is the other node's text.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap gives the sentinel of this package that the other node meant.
func (e *RemoteError) Unwrap() error { return e.cause }

// peers is the nodes' own HTTP, on the node address: whoever gets through its TLS is a node and may do all.
type peers struct {
	server *http.Server
	client *http.Client
	log    *slog.Logger
	end    context.CancelFunc // ends the attempts to connect, which outlive the requests that they were begun for
}

func newPeers(l *link, handlers map[string]Handler, log *slog.Logger) *peers {
	table := http.NewServeMux()
	p := &peers{log: log, server: &http.Server{Handler: table, ReadHeaderTimeout: helloTimeout, IdleTimeout: 2 * peerIdle,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}
	for path, h := range handlers {
		table.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, h) })
	}
	var open context.Context
	open, p.end = context.WithCancel(context.Background())
	p.client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 16, MaxIdleConnsPerHost: 8, IdleConnTimeout: peerIdle,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			defer context.AfterFunc(open, stop)()
			return l.dialer.dial(ctx, addr, protoPeer)
		}}}
	return p
}

func (p *peers) serve(w http.ResponseWriter, r *http.Request, h Handler) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPeerBody))
	var answer any
	if err == nil {
		answer, err = h(r.Context(), body)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		f := failure{Text: err.Error()}
		for code, sentinel := range codes() {
			if errors.Is(err, sentinel) {
				f.Code = code
			}
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		answer = f
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		p.log.Debug("an answer to another node was not sent", "path", r.URL.Path, "err", err)
	}
}

// call asks the node at a node address. A nil out drops the answer. What the other node answers with is a RemoteError;
// any other error leaves it open whether the request was done.
func (p *peers) call(ctx context.Context, addr, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	var noisy *url.Error
	if errors.As(err, &noisy) {
		err = noisy.Err // what was asked, and where, is said here
	}
	if remoteAlert(err) { // with TLS 1.3 a refusal of this node's certificate comes after the handshake
		return fmt.Errorf("ask %s: %w: %s", addr, err, refusesUs)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxPeerBody))
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	if resp.StatusCode != http.StatusOK {
		return remoteError(addr, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer of %s to %s: %w", addr, path, err)
	}
	return nil
}

func remoteError(addr string, status int, answer []byte) error {
	var f failure
	if err := json.Unmarshal(answer, &f); err != nil || f.Text == "" {
		f.Text = fmt.Sprintf("%s answered with HTTP status %d; does it run another version of rollcall?", addr, status)
	}
	return &RemoteError{Text: f.Text, cause: codes()[f.Code], unknown: status == http.StatusNotFound}
}

func (p *peers) close() error {
	p.end()
	p.client.CloseIdleConnections()
	return p.server.Close()
}
