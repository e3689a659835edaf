package crash_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/internal/crash"
)

func TestContain(t *testing.T) {
	out := &bytes.Buffer{}
	counted := 0
	guard := crash.Guard{Log: slog.New(slog.NewTextHandler(out, nil)), Count: func() { counted++ }}
	ours := errors.New("ours")
	for _, want := range []error{nil, ours} {
		if got := guard.Contain("a look", func() error { return want }); !errors.Is(got, want) || out.Len() > 0 || counted > 0 {
			t.Errorf("got %v and %q, want %v, no log and no count", got, out, want)
		}
	}
	var list []int
	err := guard.Contain("a look", func() error { list[3]++; return nil })
	if !errors.Is(err, crash.Err) || !strings.Contains(err.Error(), "a look: it crashed") || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("got %v", err)
	}
	if counted != 1 {
		t.Errorf("%d crashes are counted, want 1", counted)
	}
	if said := out.String(); !strings.Contains(said, "crash_test.go") || !strings.Contains(said, "index out of range") {
		t.Errorf("the log says %q, want the cause and the stack", said)
	}
	guard.Count = nil
	if err := guard.Contain("a look", func() error { panic("a bug") }); !errors.Is(err, crash.Err) {
		t.Errorf("without a counter: %v", err)
	}
}
