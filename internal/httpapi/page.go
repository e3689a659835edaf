package httpapi

import (
	"net/http"
	"strings"
)

// filePattern is by which name the page's files are logged and counted.
const filePattern = "/{file}"

// index answers GET /: the page, and the list of endpoints for who asks for JSON and not for HTML.
func (a *api) index(c *call) (any, error) {
	c.w.Header().Add("Vary", "Accept")
	accept := strings.Join(c.r.Header.Values("Accept"), ",")
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html") {
		return indexAnswer{"rollcall", a.build.Version, a.routes.patterns()}, nil
	}
	return a.file(c)
}

// file answers with a file of the page. They hold nothing of this cluster and are open to all.
func (a *api) file(c *call) (any, error) {
	c.writeWithin(a.limits.Write)
	a.files.ServeHTTP(c.w, c.r)
	return nil, nil
}

// addFiles puts the files beside the API's own paths, which they never shadow.
func (a *api) addFiles(table routes) {
	files := &route{pattern: filePattern, get: &endpoint{open, a.file}}
	for _, path := range a.files.Paths() {
		if table[path] == nil {
			table[path] = files
		}
	}
}

// origins are the origins, scheme://host[:port], whose pages may read answers and, with a token, act.
type origins map[string]bool

func newOrigins(list []string) origins {
	o := origins{}
	for _, origin := range list {
		o[origin] = true
	}
	return o
}

// allow tells whether a page of a listed origin sent this. Browsers write an origin in one way only, so it is compared
// byte by byte.
func (o origins) allow(r *http.Request) bool {
	given := r.Header.Values("Origin")
	return len(given) == 1 && o[given[0]]
}

// greet lets an allowed page read the answer. Cookies are never asked for: whoever comes from elsewhere brings a token.
func (o origins) greet(c *call) {
	if len(o) == 0 {
		return
	}
	h := c.w.Header()
	h.Add("Vary", "Origin")
	if o.allow(c.r) {
		h.Set("Access-Control-Allow-Origin", c.r.Header.Get("Origin"))
		h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
	}
}

// preflight answers the question that a browser asks ahead of a request with a token; false when this is none, or the
// origin is not allowed, which is then refused as any OPTIONS is.
func (o origins) preflight(c *call) bool {
	if c.r.Method != http.MethodOptions || c.r.Header.Get("Access-Control-Request-Method") == "" || !o.allow(c.r) {
		return false
	}
	h := c.w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(c.route.methods(), ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	c.w.WriteHeader(http.StatusNoContent)
	return true
}
