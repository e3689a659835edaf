package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakecollector"
)

func newTracer(t *testing.T, endpoint string, log *slog.Logger) *Tracer {
	t.Helper()
	tr, err := New(t.Context(), Config{Endpoint: endpoint, Node: "n1", Version: "v1", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close(context.WithoutCancel(t.Context())) })
	return tr
}

// TestOneWarning checks that a collector that fails is one warning, however long it lasts, and that its return is one line.
func TestOneWarning(t *testing.T) {
	collector, out := fakecollector.New(t), &bytes.Buffer{}
	tr := newTracer(t, collector.URL, slog.New(slog.NewTextHandler(out, nil)))
	send := func() {
		_, end := tr.Webhook(t.Context(), reconcile.Event{})
		end(nil)
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	collector.Down(true)
	for range 3 {
		send()
	}
	collector.Down(false)
	for range 3 {
		send()
	}
	warned, back := strings.Count(out.String(), "level=WARN"), strings.Count(out.String(), "takes traces again")
	if warned != 1 || back != 1 || collector.Refused() != 3 || len(collector.Spans("webhook")) != 3 {
		t.Errorf("%d requests refused, %d spans, and the log is:\n%s", collector.Refused(), len(collector.Spans("")), out)
	}
}

// TestQueueIsBounded checks that spans that the collector does not take are dropped, and that making them does not wait.
func TestQueueIsBounded(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
	collector := fakecollector.New(t)
	hangs, release := make(chan struct{}), make(chan struct{})
	tr := newTracer(t, collector.URL, slog.New(hangingLog{slog.DiscardHandler, hangs, release}))
	collector.Down(true)
	one := func() {
		_, end := tr.Webhook(t.Context(), reconcile.Event{})
		end(nil)
	}
	for range 8 {
		one() // a batch, whose failure the hanging log holds up
	}
	<-hangs
	for range 10_000 {
		one()
	}
	collector.Down(false)
	close(release)
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(collector.Spans("")); n == 0 || n > 16 {
		t.Errorf("%d spans were kept, want up to 16", n)
	}
}

// hangingLog is a log that holds up whoever writes its first line.
type hangingLog struct {
	slog.Handler
	hangs, release chan struct{}
}

func (h hangingLog) Enabled(context.Context, slog.Level) bool { return true }

func (h hangingLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		close(h.hangs)
		<-h.release
	}
	return nil
}

// TestTheWayBetweenNodes checks that a trace survives the way to another node and the mailbox of a room, and that nothing else does.
func TestTheWayBetweenNodes(t *testing.T) {
	t.Parallel()
	tr := newTracer(t, fakecollector.New(t).URL, slog.New(slog.DiscardHandler))
	if got := tr.Inject(t.Context()); got != nil || tr.Carry(t.Context()) != nil {
		t.Errorf("without a span, %q would travel", got)
	}
	ctx, end := tr.Webhook(t.Context(), reconcile.Event{})
	defer end(nil)
	here := trace.SpanContextFromContext(ctx)
	sent := tr.Inject(ctx)
	if want := fmt.Sprintf("00-%s-%s-01", here.TraceID(), here.SpanID()); string(sent) != want {
		t.Errorf("%q travels, want %q", sent, want)
	}
	if there := trace.SpanContextFromContext(tr.Extract(t.Context(), sent)); !there.IsRemote() || there.TraceID() != here.TraceID() || there.SpanID() != here.SpanID() {
		t.Errorf("%q arrives as %v", sent, there)
	}
	if got := trace.SpanContextFromContext(tr.Carry(ctx)(t.Context())); !got.Equal(here) {
		t.Errorf("the mailbox makes %v of %v", got, here)
	}
	for _, wrong := range []string{"", "x", "00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-01", strings.Repeat("\xff", 55)} {
		if got := trace.SpanContextFromContext(tr.Extract(t.Context(), []byte(wrong))); got.IsValid() {
			t.Errorf("%q is taken for %v", wrong, got)
		}
	}
}

// rooms is an Owner whose work fails.
type rooms struct{ actors.Owner }

var errRooms = errors.New("the rooms fail")

func (rooms) Deliver(context.Context, reconcile.Event) error { return errRooms }
func (rooms) Survey(context.Context, actors.Batch) (actors.Findings, error) {
	return actors.Findings{}, nil
}
func (rooms) Cleanup(context.Context, actors.CleanupRequest) (actors.CleanupResult, error) {
	return actors.CleanupResult{}, nil
}

// TestSpansOfWork checks which spans work makes, that a failure shows in them, and that work without a trace makes none.
func TestSpansOfWork(t *testing.T) {
	t.Parallel()
	collector := fakecollector.New(t)
	tr := newTracer(t, collector.URL, slog.New(slog.DiscardHandler))
	local, remote := tr.Local(rooms{}), tr.Remote(rooms{})
	work := func(ctx context.Context) error {
		err := local.Deliver(ctx, reconcile.Event{})
		_, _ = remote.Survey(ctx, actors.Batch{Rooms: []string{"a", "b"}})
		_, _ = local.Cleanup(ctx, actors.CleanupRequest{})
		return err
	}
	if err := work(t.Context()); !errors.Is(err, errRooms) {
		t.Errorf("the owner's error became %v", err)
	}
	ctx, end := tr.Cycle(t.Context(), "sync", reconcile.Options{Room: "r"})
	end(reconcile.Report{Synced: 7, Errors: 1, Error: "no"}, work(ctx))
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]fakecollector.Span{}
	for _, s := range collector.Spans("") {
		got[s.Name] = s
	}
	if len(collector.Spans("")) != 4 || !got["owner"].Failed || got["send survey"].Failed || !got["sync"].Failed || got["sync"].Attributes["rollcall.room"] != "r" {
		t.Errorf("got %+v", collector.Spans(""))
	}
}
