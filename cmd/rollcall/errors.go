package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/rollcallhq/rollcall/client"
)

// explainedError is an error as one line that says what to do. It keeps its cause.
type explainedError struct {
	line  string
	cause error
}

func (e *explainedError) Error() string { return e.line }
func (e *explainedError) Unwrap() error { return e.cause }

// explain turns the error of a request into an error that says what to do about it. outer is the command's context, without
// its timeout.
func explain(err error, base string, f clientFlags, outer context.Context) error {
	if _, ok := errors.AsType[*explainedError](err); ok {
		return err
	}
	var refused *client.Error
	line := ""
	switch {
	case outer.Err() != nil:
		line = "interrupted; what the node had begun goes on there"
	case errors.As(err, &refused):
		line = explainStatus(refused, base, f)
	case errors.Is(err, client.ErrNotRollcall):
		line = fmt.Sprintf("%s answers, but not as a rollcall node does: check --addr (ROLLCALL_ADDR)", base)
	default:
		line = explainNetwork(err, base, f)
	}
	if line == "" {
		return err
	}
	return &explainedError{line: line, cause: err}
}

func explainStatus(e *client.Error, base string, f clientFlags) string {
	said := "nothing more"
	if e.Message != "" {
		said = sentence(clip(strings.TrimSuffix(e.Message, "; try again shortly"), 300))
	}
	switch e.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Sprintf("%s redirects to %s, and an action is not redirected: nothing was done. Give the address that it leads to in --addr (ROLLCALL_ADDR)", base, sentence(clip(e.Location, 300)))
	case http.StatusUnauthorized:
		if f.token == "" {
			return base + " wants a token: give --token or ROLLCALL_TOKEN (the node's ROLLCALL_ADMIN_TOKEN, or a LiveKit access token with roomList)"
		}
		if f.tokenFile != "" {
			return fmt.Sprintf("%s does not accept the token in %s (ROLLCALL_ADMIN_TOKEN_FILE): if the token is new, `rollcall reload` on the node's machine has the node take it; otherwise compare the file with the node's", base, f.tokenFile)
		}
		return base + " does not accept this token: check --token (ROLLCALL_TOKEN) against the node's ROLLCALL_ADMIN_TOKEN; a LiveKit access token may have expired"
	case http.StatusForbidden:
		return fmt.Sprintf("%s knows this token, but it may not do that (it says: %s): use the admin token, or a LiveKit access token with roomList (to read) and roomAdmin without a room (to act)", base, said)
	case http.StatusServiceUnavailable:
		again := "a few seconds"
		if e.RetryAfter > 0 {
			again = span(e.RetryAfter)
		}
		return fmt.Sprintf("%s cannot do that now (it says: %s): try again in %s; if it lasts, `rollcall status` says what is wrong", base, said, again)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s does not know that request (it says: %s): check --addr (ROLLCALL_ADDR), or the node is of another version", base, said)
	case http.StatusConflict:
		return base + " refuses: " + sentence(clip(e.Message, 2000)) // a wrong configuration may take several lines
	case http.StatusBadRequest:
		if e.Message == "" {
			return base + " does not understand the request: is it another server, or does it want https:// in --addr (ROLLCALL_ADDR)?"
		}
	}
	return fmt.Sprintf("%s refused (HTTP %d; it says: %s): the node's log may say more", base, e.Status, said)
}

func explainNetwork(err error, base string, f clientFlags) string {
	var timeout net.Error
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s: check that `rollcall serve` runs there, and --addr (ROLLCALL_ADDR)", base)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if f.timeout == noTimeout { // only the first request of such a command has a limit
			return fmt.Sprintf("no answer from %s within %s: check the node and --addr (ROLLCALL_ADDR)", base, span(readTimeout))
		}
		return fmt.Sprintf("no answer from %s within %s: check the node and --addr (ROLLCALL_ADDR), or give more --timeout; what the node had begun goes on there", base, span(f.timeout))
	case errors.As(err, &dns):
		return fmt.Sprintf("no host %s is known: check --addr (ROLLCALL_ADDR)", safe(dns.Name))
	case errors.Is(err, http.ErrSchemeMismatch):
		return base + " speaks plain HTTP: give http:// in --addr (ROLLCALL_ADDR)"
	case errors.As(err, &authority), errors.As(err, &name):
		return fmt.Sprintf("the certificate of %s is not trusted here: check --addr (ROLLCALL_ADDR), or name its authority's file in SSL_CERT_FILE", base)
	}
	return ""
}
