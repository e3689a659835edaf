// Package openapitest checks a server's answers against its OpenAPI description. A test fails if an answer has a status, content
// type or body that the description does not allow, or if the description itself is invalid.
package openapitest

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Spec is an OpenAPI 3.1 description.
type Spec struct {
	// Methods are the upper-case methods of each path, sorted.
	Methods map[string][]string
	router  routers.Router
}

// Read parses a description, which must be valid.
func Read(t testing.TB, text []byte) *Spec {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatalf("no OpenAPI document: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the description: %v", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("the description: %v", err)
	}
	for _, text := range []string{"text/html", "application/yaml"} { // clients receive these as strings
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.PlainBodyDecoder)
	}
	s := &Spec{Methods: map[string][]string{}, router: router}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			s.Methods[path] = append(s.Methods[path], method)
		}
		slices.Sort(s.Methods[path])
	}
	return s
}

// Check checks one answer to method and target against the description. target begins with a slash.
func (s *Spec) Check(t testing.TB, method, target string, status int, header http.Header, body []byte) {
	t.Helper()
	u, err := url.Parse("http://localhost" + target)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: "localhost"}
	route, params, err := s.router.FindRoute(req)
	if err == nil {
		answer := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
			Status:                 status, Header: header, Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
		}
		err = openapi3filter.ValidateResponse(t.Context(), answer.SetBodyBytes(body))
	}
	if err != nil {
		t.Errorf("%s %s: %d %.2000s\n%.2000v", method, target, status, body, err)
	}
}
