// Package tracing makes OpenTelemetry traces of events and cycles and sends them to a collector over OTLP/HTTP. It promises that
// a collector that is slow, down or wrong never delays a node: spans wait in a bounded queue, and those that find it full are
// dropped. A node without a Tracer makes no traces and pays nothing for them.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// path is where a collector takes traces, below its base URL.
const path = "/v1/traces"

// Config configures a Tracer.
type Config struct {
	// Endpoint is the base URL of a collector, http or https.
	Endpoint string
	// Node and Version describe this node: service.instance.id and service.version.
	Node, Version string
	Log           *slog.Logger
}

// Tracer makes spans. The standard variables OTEL_* configure what Config does not: the sampler, the service's name and other
// attributes, the headers and the timeout of requests to the collector, and the sizes of the queue and of its batches.
type Tracer struct {
	provider *sdk.TracerProvider
	spans    trace.Tracer
}

// Disabled returns the standard variable that says that no program is to make traces, or "".
func Disabled() string {
	is := func(name, value string) bool { return strings.EqualFold(strings.TrimSpace(os.Getenv(name)), value) }
	switch {
	case is("OTEL_SDK_DISABLED", "true"):
		return "OTEL_SDK_DISABLED"
	case is("OTEL_TRACES_EXPORTER", "none"):
		return "OTEL_TRACES_EXPORTER"
	}
	return ""
}

// New returns a Tracer. It makes no request, so the collector need not run yet. The caller must call Close.
func New(ctx context.Context, c Config) (*Tracer, error) {
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "rollcall"), attribute.String("service.instance.id", c.Node), attribute.String("service.version", c.Version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w: give key=value pairs, separated by commas", err)
	}
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(strings.TrimSuffix(c.Endpoint, "/"), path)+path))
	if err != nil {
		return nil, fmt.Errorf("--otlp-endpoint: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&exporter{SpanExporter: client, log: c.Log}))
	return &Tracer{provider: p, spans: p.Tracer("github.com/rollcallhq/rollcall")}, nil
}

// Close sends the spans that wait, until ctx ends. Its error is no fault of the node.
func (t *Tracer) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// exporter sends spans. It logs when sending begins to fail and when it succeeds again, instead of every failure.
type exporter struct {
	sdk.SpanExporter
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdk.SpanExporter. It returns no error, because the SDK would write it to stderr.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if was := e.failed.Swap(err != nil); was == (err != nil) {
		return nil
	}
	if err == nil {
		e.log.Info("the collector takes traces again")
		return nil
	}
	e.log.Warn("traces cannot be sent and are dropped until this works again: check --otlp-endpoint and the collector", "error", err)
	return nil
}

// traceparent is the name of the only value that travels between nodes.
const traceparent = "traceparent"

// Inject returns the W3C traceparent of ctx's span, or nil if it has none.
func (t *Tracer) Inject(ctx context.Context) []byte {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	var carrier = propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return []byte(carrier[traceparent])
}

// Extract returns a context whose spans continue another node's trace. What is no traceparent is ignored.
func (t *Tracer) Extract(ctx context.Context, parent []byte) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: string(parent)})
}

// Carry returns a function that puts ctx's span into another context, or nil if ctx has none.
func (t *Tracer) Carry(ctx context.Context) func(context.Context) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return nil
	}
	return func(to context.Context) context.Context { return trace.ContextWithSpan(to, span) }
}
