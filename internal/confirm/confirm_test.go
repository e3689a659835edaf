package confirm

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	for answer, ok := range map[string]bool{"y\n": true, " YES \n": true, "yes": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		var to strings.Builder
		err := Ask(t.Context(), strings.NewReader(answer), &to, "Stop?")
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrNo) || to.String() != "Stop? [y/N] " {
			t.Errorf("%q: %v, asked %q", answer, err, to.String())
		}
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, _ := io.Pipe()
	if err := Ask(ctx, silent, io.Discard, "Stop?"); !errors.Is(err, ErrNo) {
		t.Error(err)
	}
}
