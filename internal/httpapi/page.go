package httpapi

import (
	"net/http"
	"strings"

	"github.com/rollcallhq/rollcall/internal/httpapi/web"
)

// filePattern is the name under which the page's files are logged and counted.
const filePattern = "/{file}"

// index answers GET / with the page, or with the list of endpoints if the client asks for JSON and not for HTML.
func (a *api) index(c *call) (any, error) {
	c.w.Header().Add("Vary", "Accept")
	accept := strings.Join(c.r.Header.Values("Accept"), ",")
	if strings.Contains(accept, "application/json") && !web.WantsPage(c.r) {
		return indexAnswer{"rollcall", a.build.Version, a.routes.patterns()}, nil
	}
	return a.file(c)
}

// viewPath and the addresses below it are what people type who leave the # out.
const viewPath = "/rooms"

// view leads to the page's view of that address: /rooms/NAME to /#/rooms/NAME.
func (a *api) view(c *call) (any, error) {
	c.writeWithin(a.limits.Write)
	c.w.Header().Set("Location", "/#"+c.r.URL.EscapedPath())
	c.w.WriteHeader(http.StatusFound)
	return nil, nil
}

// file answers with a file of the page. The files contain nothing about this cluster and are open to everyone.
func (a *api) file(c *call) (any, error) {
	c.writeWithin(a.limits.Write)
	a.files.ServeHTTP(&c.w, c.r)
	return nil, nil
}

// addFiles adds the files to the API's own paths, which they never shadow.
func (a *api) addFiles(table routes) {
	files := &route{pattern: filePattern, get: &endpoint{open, a.file}}
	table[filePattern] = files
	table[viewPath] = &route{pattern: filePattern, get: &endpoint{open, a.view}}
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

// allow reports whether a page of a listed origin sent this. Browsers write an origin in only one way, so it is compared
// byte by byte.
func (o origins) allow(r *http.Request) bool {
	given := r.Header.Values("Origin")
	return len(given) == 1 && o[given[0]]
}

// setCORS lets an allowed page read the answer. Cookies are never allowed: a page of another origin must send a token.
func (o origins) setCORS(c *call) {
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

// preflight answers the request that a browser sends ahead of a request with a token. It returns false if this is not such a
// request, or the origin is not allowed; the caller then refuses it like any OPTIONS request.
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
