// Package openapitest holds a server's answers against its OpenAPI description. It promises to fail a test whose answer has a
// status, a content type or a body that the description does not allow, also where the description itself is none.
package openapitest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// Spec is an OpenAPI 3.1 description.
type Spec struct {
	// Methods are the upper-case methods of each path, sorted.
	Methods   map[string][]string
	validator validator.Validator
}

// Read reads a description, which must be a right one.
func Read(t testing.TB, text []byte) *Spec {
	t.Helper()
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatalf("no OpenAPI document: %v", err)
	}
	v, problems := validator.NewValidator(doc)
	if len(problems) > 0 {
		t.Fatalf("the description: %v", problems)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("the description: %s: %s", p.Message, p.Reason)
			for _, e := range p.SchemaValidationErrors {
				t.Errorf("  at %s: %s", e.FieldPath, e.Reason)
			}
		}
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatalf("the description: %v", err)
	}
	s := &Spec{Methods: map[string][]string{}, validator: v}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			s.Methods[path] = append(s.Methods[path], strings.ToUpper(method))
		}
		slices.Sort(s.Methods[path])
	}
	return s
}

// Check holds one answer to method and target, which begins with a slash, against the description.
func (s *Spec) Check(t testing.TB, method, target string, status int, header http.Header, body []byte) {
	t.Helper()
	u, err := url.Parse("http://localhost" + target)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: "localhost"}
	resp := &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: req}
	ok, problems := s.validator.ValidateHttpResponse(req, resp)
	if ok {
		return
	}
	for _, p := range problems {
		t.Errorf("%s %s: %d %s\n%s: %s", method, target, status, body, p.Message, p.Reason)
		for _, e := range p.SchemaValidationErrors {
			t.Errorf("  at %s: %s", e.FieldPath, e.Reason)
		}
	}
}
