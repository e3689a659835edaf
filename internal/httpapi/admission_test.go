package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

func TestBudgetReads(t *testing.T) {
	const limit = 100 << 10
	lost := errors.New("connection lost")
	for _, c := range []struct {
		name     string
		reader   io.Reader
		declared int64
		size     int
		err      error
	}{
		{"empty", strings.NewReader(""), 0, 0, nil},
		{"declared", bytes.NewReader(make([]byte, 2000)), 2000, 2000, nil},
		{"undeclared", bytes.NewReader(make([]byte, 2000)), -1, 2000, nil},
		{"grows", bytes.NewReader(make([]byte, 50<<10)), -1, 50 << 10, nil},
		{"a byte at a time", iotest.OneByteReader(bytes.NewReader(make([]byte, firstBytes+1))), -1, firstBytes + 1, nil},
		{"just fits", bytes.NewReader(make([]byte, limit)), -1, limit, nil},
		{"end with the data", iotest.DataErrReader(bytes.NewReader(make([]byte, limit))), limit, limit, nil},
		{"declared too large", strings.NewReader(""), limit + 1, 0, errTooLarge},
		{"too large", bytes.NewReader(make([]byte, limit+1)), -1, 0, errTooLarge},
		{"too large at once", iotest.DataErrReader(bytes.NewReader(make([]byte, limit+1))), -1, 0, errTooLarge},
		{"breaks off", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(lost)), -1, 0, lost},
		{"breaks off as net/http says it", iotest.ErrReader(io.ErrUnexpectedEOF), -1, 0, io.ErrUnexpectedEOF},
		{"slow", iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)), -1, 0, errTooSlow},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bodyMemory{limit: 10 * limit}
			body, free, err := b.read(c.reader, c.declared, limit)
			if !errors.Is(err, c.err) || err == nil && (len(body) != c.size || b.spent.Load() < int64(c.size)) {
				t.Errorf("%d bytes, %d spent, error %v; want %d and %v", len(body), b.spent.Load(), err, c.size, c.err)
			}
			free()
			if b.spent.Load() != 0 {
				t.Errorf("%d bytes were not given back", b.spent.Load())
			}
		})
	}
}

func TestBudgetIsShared(t *testing.T) {
	b := &bodyMemory{limit: 100 << 10}
	_, free, err := b.read(bytes.NewReader(make([]byte, 60<<10)), -1, 80<<10)
	if err != nil {
		t.Fatal(err)
	}
	if _, freeNone, err := b.read(bytes.NewReader(make([]byte, 60<<10)), -1, 80<<10); !errors.Is(err, errOverMemory) {
		t.Errorf("two bodies in the place of one: %v", err)
	} else {
		freeNone()
	}
	free()
	if b.spent.Load() != 0 {
		t.Errorf("%d bytes were not given back", b.spent.Load())
	}
}

func TestWebhookBodyBounds(t *testing.T) {
	padded := func(n int) string {
		head := event("room_started", "EV_1", time.Now())
		return head + strings.Repeat(" ", n-len(head))
	}
	r := newRig(t, &node{}, nil)
	undeclared := func(r *http.Request) { r.ContentLength = -1 }
	want(t, r.hook(padded(reconcile.MaxWebhookBytes)), 200, success)
	want(t, r.hook(padded(reconcile.MaxWebhookBytes), undeclared), 200, success)
	const tooLargeText = `{"error":"The body is larger than 8 MiB"}`
	want(t, r.hook(padded(reconcile.MaxWebhookBytes+1)), 413, tooLargeText)
	want(t, r.hook(padded(reconcile.MaxWebhookBytes+1), undeclared), 413, tooLargeText)
	want(t, r.hook("", func(r *http.Request) {
		r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
		r.ContentLength = 9
	}),
		503, `{"error":"Cannot commit now; send it again"}`)

	small := newRig(t, &node{}, func(c *Config) { c.Limits.BodyBytes = 20 << 10 })
	want(t, small.hook(padded(10<<10)), 200, success)
	w := small.hook(padded(30 << 10))
	if w.Code != 503 || w.Header().Get("Retry-After") != "4" {
		t.Errorf("beyond the bytes: %d", w.Code)
	}
	want(t, small.hook(padded(10<<10)), 200, success)
}
