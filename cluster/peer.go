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

// Handler answers one kind of request from other nodes. body is JSON, and the returned value is sent as JSON.
type Handler func(ctx context.Context, body []byte) (any, error)

const (
	maxPeerBody   = 64 << 20
	peerIdle      = 30 * time.Second
	peerPrefix    = "/v1/"
	handlerPrefix = "/app/"
)

// failure is an error as it is sent to another node. Code names a sentinel error that both nodes know, or is empty.
type failure struct {
	Code string `json:"code,omitempty"`
	Text string `json:"error"`
}

// codes returns the sentinel errors that keep their identity between nodes. Add codes, never rename them: the nodes may run two versions.
// "no-heir" is an older name for what ErrNoSuccessor means.
func codes() map[string]error {
	return map[string]error{"not-leader": ErrNotLeader, "no-leader": ErrNoLeader, "term-ended": ErrTermEnded,
		"unknown-outcome": ErrOutcomeUnknown, "removed": ErrRemoved, "unknown-node": ErrUnknownNode, "closed": ErrClosed,
		"quorum": ErrQuorum, "no-heir": ErrNoSuccessor}
}

// RemoteError is an error that another node answered with.
type RemoteError struct {
	Text  string
	cause error // the sentinel, or nil
	// unknown is true if the other node's build does not know the request.
	unknown bool
}

// Error returns the other node's text.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap returns the sentinel error of this package that the other node named, or nil.
func (e *RemoteError) Unwrap() error { return e.cause }

// peers is the HTTP between nodes, on the node address. A client that passes its TLS is a node and may do everything.
type peers struct {
	server *http.Server
	client *http.Client
	log    *slog.Logger
	end    context.CancelFunc // ends attempts to connect, which outlive the requests that began them
}

func newPeers(l *endpoint, handlers map[string]Handler, log *slog.Logger) *peers {
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
		p.log.Debug("an answer to another node was not sent", "path", r.URL.Path, "error", err)
	}
}

// call sends a request to the node at a node address. If out is nil, the answer is dropped. An error that the node answers with is a
// RemoteError. After any other error the request may have been carried out.
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
	if noisy, ok := errors.AsType[*url.Error](err); ok {
		err = noisy.Err // the messages below say what was asked, and where
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
