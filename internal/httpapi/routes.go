package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rollcallhq/rollcall/internal/httpapi/web"
)

// endpoint is one method of a route. serve returns the value to send as JSON, or nil if it has written the answer itself.
type endpoint struct {
	needs right
	serve func(c *call) (any, error)
}

// route is a path, the name under which it is logged and counted, and its methods. HEAD works where GET does.
type route struct {
	pattern   string
	get, post *endpoint
	ok        atomic.Pointer[routeSeries] // nil until the first success
}

func (r *route) endpoint(method string) (*endpoint, error) {
	switch {
	case (method == http.MethodGet || method == http.MethodHead) && r.get != nil:
		return r.get, nil
	case method == http.MethodPost && r.post != nil:
		return r.post, nil
	}
	p := refuse(http.StatusMethodNotAllowed, "Method not allowed here")
	p.header = http.Header{"Allow": {strings.Join(r.methods(), ", ")}}
	return nil, p
}

func (r *route) methods() []string {
	var all []string
	if r.get != nil {
		all = append(all, http.MethodGet, http.MethodHead)
	}
	if r.post != nil {
		all = append(all, http.MethodPost)
	}
	return all
}

const (
	roomsPath   = "/api/rooms"
	roomPattern = "/api/rooms/{room}"
	eventsPath  = "/api/events"
	elsewhere   = "other" // the pattern of everything that is not found
)

func (c *call) pattern() string { return c.route.name() }

// name returns the route's pattern. A nil route is that of everything that is not found.
func (r *route) name() string {
	if r == nil {
		return elsewhere
	}
	return r.pattern
}

// routes are matched as they were sent: a ServeMux would clean the path and redirect, and a room's name may contain slashes,
// dots and anything else.
type routes map[string]*route

func (a *api) makeRoutes(metricsPublic bool) routes {
	get := func(needs right, serve func(*call) (any, error)) *endpoint { return &endpoint{needs, serve} }
	metricsNeed := readAll
	if metricsPublic {
		metricsNeed = open
	}
	table := routes{}
	for _, r := range []*route{
		{pattern: "/", get: get(open, a.index)},
		{pattern: "/livez", get: get(open, a.livez)},
		{pattern: "/readyz", get: get(open, a.readyz)},
		{pattern: "/version", get: get(open, a.version)},
		{pattern: "/metrics", get: get(metricsNeed, a.metrics.serve)},
		{pattern: webhookPath, post: &endpoint{open, a.hooks.serve}},
		{pattern: "/api/sync-rooms", get: get(readAll, a.status), post: &endpoint{act, a.act}},
		{pattern: "/api/cluster", get: get(readAll, a.cluster), post: &endpoint{act, a.removeNode}},
		{pattern: "/api/reload", post: &endpoint{reload, a.reload}},
		{pattern: "/api/check-match", get: get(readAll, a.checkMatch)},
		{pattern: roomsPath, get: get(readAll, a.listRooms)},
		{pattern: roomPattern, get: get(readRoom, a.showRoom)},
		{pattern: roomPattern + "/timeline", get: get(readRoom, a.showTimeline)},
		{pattern: roomPattern + "/livekit", get: get(readRoom, a.showLiveKit)},
		{pattern: "/api/drift", get: get(readAll, a.showDrift)},
		{pattern: "/api/stats", get: get(readAll, a.stats)},
		{pattern: eventsPath, get: get(readRoom, a.events)}, // without a room this requires readAll: a token for one room has that room only
		{pattern: "/openapi.yaml", get: get(open, a.openAPI)},
	} {
		table[r.pattern] = r
	}
	a.addFiles(table)
	return table
}

func (t routes) patterns() []string {
	var all []string
	for _, r := range t {
		all = append(all, r.pattern)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// find sets the call's route and room, or returns why there is none.
func (t routes) find(c *call) error {
	// RawPath is the path as sent, if that differs. EscapedPath alone would re-encode a path with characters that should
	// have been escaped (curl sends such), and then "%2F" and "/" could not be told apart.
	path := c.r.URL.RawPath
	if path == "" {
		path = c.r.URL.EscapedPath()
	}
	if rest, one := strings.CutPrefix(path, roomsPath); one && (rest == "" || rest[0] == '/') {
		if found, err := t.findRoom(c, rest); found || err != nil {
			return err
		}
	}
	if r := t[path]; r != nil && path != filePattern && !strings.HasPrefix(r.pattern, roomPattern) {
		c.route = r
		if path == eventsPath {
			c.room = c.query.Get("room")
		}
		return nil
	}
	if path == viewPath || strings.HasPrefix(path, viewPath+"/") {
		c.route = t[viewPath]
		return nil
	}
	if web.WantsPage(c.r) && !strings.HasPrefix(path, "/api/") {
		c.route = t[filePattern] // somebody typed the address: the page says that there is no such one
		return nil
	}
	return refuse(http.StatusNotFound, "No such endpoint; GET /openapi.yaml describes all of them")
}

// findRoom finds the routes of one room, whose name is in the path or in ?name: "/name", "/name/timeline", "?name=",
// "/timeline?name=".
func (t routes) findRoom(c *call, rest string) (found bool, err error) {
	if c.query.Has("name") && (rest == "" || rest == "/" || t[roomPattern+rest] != nil) {
		c.route, c.room = t[roomPattern+strings.TrimSuffix(rest, "/")], c.query.Get("name")
		if c.room == "" {
			return true, refuse(http.StatusBadRequest, "name must not be empty")
		}
		return true, nil
	}
	name, of, more := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	pattern := roomPattern
	if more {
		pattern += "/" + of
	}
	if name == "" || t[pattern] == nil {
		return false, nil
	}
	if name, err = url.PathUnescape(name); err != nil {
		return true, refuse(http.StatusBadRequest, "The path is not well encoded")
	}
	c.route, c.room = t[pattern], name
	return true, nil
}
