package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/rollcallhq/rollcall/internal/httpapi/web"
)

// api answers requests. It is an http.Handler and safe for concurrent use.
type api struct {
	ports    Ports
	limits   Limits
	log      *slog.Logger
	build    Build
	routes   routes
	files    *web.Files
	access   *access
	hooks    *webhooks
	accepted acceptance
	actions  *actions
	audits   *auditLog
	hub      *hub
	answers  *quota // bytes of answers, until they are written
	looks    *quota // slots for requests to LiveKit
	watching *quota // slots of /api/events
	replays  *quota // slots for streams that read what they missed
	metrics  *metrics
	drain    *drain
	trouble  logLimiter
}

// ServeHTTP answers one request, whatever the handler does.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: recorder{ResponseWriter: w, stall: a.limits.Stall}, r: r, at: time.Now()}
	c.begin(c.at.Add(a.limits.Deliver))
	defer a.finish(c)
	securityHeaders(c.w.Header())
	if len(c.r.TransferEncoding) > 0 {
		// net/http hides a Content-Length that comes with a Transfer-Encoding. A proxy that goes by that length would take
		// what follows for another caller's request (RFC 9112, 6.3), so nothing may follow.
		c.w.Header().Set("Connection", "close")
	}
	a.access.origins().setCORS(c)
	defer a.release(c)
	value, err := a.answer(c)
	var body pieces
	if err == nil && value != nil {
		body, err = encode(value)
	}
	if err == nil && value != nil {
		err = c.keep(body.size())
	}
	switch {
	case err != nil:
		a.fail(c, err)
	case value != nil:
		c.send(http.StatusOK, body, a.limits.Write)
	}
}

// release gives back the answer memory that the call holds: its answer is written, or nobody fetches it.
func (a *api) release(c *call) {
	if c.held.of != nil {
		_ = c.held.need(0) // giving back does not fail
	}
}

// answer returns the value to send, or nil if the handler wrote its own answer.
func (a *api) answer(c *call) (any, error) {
	if c.r.URL.RawQuery != "" {
		query, err := url.ParseQuery(c.r.URL.RawQuery)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "The query is not well encoded")
		}
		c.query = query
	}
	err := a.routes.find(c)
	a.hooks.noteStray(c)
	if err != nil {
		return nil, err
	}
	if a.access.origins().preflight(c) {
		return nil, nil
	}
	e, err := c.route.endpoint(c.r.Method)
	if err != nil {
		return nil, err
	}
	if e.needs >= act {
		return a.audited(c, e)
	}
	return a.serve(c, e)
}

// serve runs an endpoint for a caller who has the right to it.
func (a *api) serve(c *call, e *endpoint) (any, error) {
	if err := a.access.check(c, e.needs); err != nil {
		return nil, err
	}
	c.audit.admit(c.as)
	if e.needs != open {
		connOf(c.r).trust()
		c.held = share{of: a.answers, who: c.who}
	}
	return e.serve(c)
}

// fail answers err. Only this node's own failures are logged above debug, and those are rate-limited: an outage brings
// thousands.
func (a *api) fail(c *call, err error) {
	p := explain(err)
	if gone := c.r.Context().Err(); gone != nil && errors.Is(err, gone) {
		p = refuse(clientGone, "Nobody waits for this any more")
	}
	// A 503 of /readyz is an answer. The daemon logs when the readiness changes, and why.
	if p.status >= http.StatusInternalServerError && p.cause != nil && c.pattern() != "/readyz" {
		if skipped, ok := a.trouble.now(c.at); ok {
			a.log.Warn("a request failed", "route", c.pattern(), "status", p.status, "error", p.cause, "suppressed", skipped)
		}
	}
	c.sendProblem(p, a.limits.Write)
}

// finish counts and logs the request and turns a panic into a 500. The log holds the route and never the path, which may
// contain names and whatever else people put into URLs.
func (a *api) finish(c *call) {
	if cause := recover(); cause != nil {
		if cause == http.ErrAbortHandler {
			panic(cause) // net/http's own way to cut a connection
		}
		p := a.panicked(c.route, cause)
		if c.w.status == 0 {
			c.sendProblem(p, a.limits.Write)
		}
	}
	took := time.Since(c.at)
	a.metrics.served(c.route, c.w.status, took)
	if a.log.Enabled(c.r.Context(), slog.LevelDebug) {
		a.log.Debug("request", "method", c.r.Method, "route", c.pattern(), "status", c.w.status, "bytes", c.w.bytes,
			"took", took, "peer", c.r.RemoteAddr)
	}
}

// panicked counts and logs a handler's panic, and returns the answer.
func (a *api) panicked(r *route, cause any) *problem {
	a.metrics.panics.Inc()
	a.log.Error("a handler panicked", "route", r.name(), "panic", cause, "stack", string(debug.Stack()))
	return refuse(http.StatusInternalServerError, "Internal error; the log of this node says more")
}

// securityHeaders sets the headers that every answer of an API should carry. Their values are shared: net/http only reads them.
func securityHeaders(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	h["Content-Security-Policy"] = noContent
}

var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	sameOrigin = []string{"same-origin"}
	noContent  = []string{"default-src 'none'; frame-ancestors 'none'"}
	jsonType   = []string{"application/json; charset=utf-8"}
)
