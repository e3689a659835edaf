package httpapi

import (
	_ "embed"
	"net/http"
	"strconv"
)

// description is the API in OpenAPI 3.1. A test compares it with the routes and their answers.
//
//go:embed openapi.yaml
var description []byte

// openAPI answers GET /openapi.yaml.
func (a *api) openAPI(c *call) (any, error) {
	h := c.w.Header()
	h.Set("Content-Type", "application/yaml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(description)))
	c.writeWithin(a.limits.Write)
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		// If this fails, the client is gone: there is nobody to tell.
		_, _ = c.w.Write(description)
	}
	return nil, nil
}
