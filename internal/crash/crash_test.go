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
	log := slog.New(slog.NewTextHandler(out, nil))
	ours := errors.New("ours")
	for _, want := range []error{nil, ours} {
		if got := crash.Contain(log, "a look", func() error { return want }); !errors.Is(got, want) || out.Len() > 0 {
			t.Errorf("got %v and %q, want %v and no log", got, out, want)
		}
	}
	var list []int
	err := crash.Contain(log, "a look", func() error { list[3]++; return nil })
	if !errors.Is(err, crash.Err) || !strings.Contains(err.Error(), "a look: it crashed") || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("got %v", err)
	}
	if said := out.String(); !strings.Contains(said, "crash_test.go") || !strings.Contains(said, "index out of range") {
		t.Errorf("the log says %q, want the cause and the stack", said)
	}
}
