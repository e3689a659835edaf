// Package fakecollector is an OpenTelemetry collector that keeps the spans that it gets over OTLP/HTTP.
package fakecollector

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span. The ids are in hexadecimal; Parent is empty for the root of a trace.
type Span struct {
	Trace, ID, Parent string
	Name              string
	Kind              string            // such as SPAN_KIND_SERVER
	Failed            bool              // its status is an error
	Attributes        map[string]string // of the span
	Resource          map[string]string // of the process that made it
}

// Collector takes spans at URL + "/v1/traces".
type Collector struct {
	URL string

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	down    bool
	refused int
}

// New returns a Collector that ends with the test.
func New(t testing.TB) *Collector {
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Down has the collector refuse all requests, or take them again.
func (c *Collector) Down(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Refused returns how many requests were refused.
func (c *Collector) Refused() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// Spans returns all spans of that name, or all if name is empty.
func (c *Collector) Spans(name string) []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s Span) bool { return name != "" && s.Name != name })
}

// Headers returns the headers of the requests that were taken.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch collector.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	switch {
	case c.down:
		c.refused++
		http.Error(w, "down", http.StatusBadRequest) // an answer after which clients do not try again
		return
	case r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || err != nil || proto.Unmarshal(body, &batch) != nil:
		http.Error(w, "no traces", http.StatusNotFound)
		return
	}
	c.headers = append(c.headers, r.Header.Clone())
	for _, process := range batch.GetResourceSpans() {
		for _, scope := range process.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, Span{Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Name: s.GetName(), Kind: s.GetKind().String(),
					Failed:     s.GetStatus().GetCode() == 2,
					Attributes: texts(s.GetAttributes()), Resource: texts(process.GetResource().GetAttributes())})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func texts(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.GetKey()] = v.StringValue
		default:
			m[a.GetKey()] = a.GetValue().String()
		}
	}
	return m
}
