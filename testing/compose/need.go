package compose

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Need finds an engine and builds the images. Without an engine it skips the test and names what is missing, except where CI
// requires an engine.
func Need(ctx context.Context, t testing.TB) *Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("containers take a while")
	}
	e, err := Find(ctx)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := e.BuildImages(ctx, os.Stderr); err != nil {
		t.Fatal(err)
	}
	t.Logf("with %s", e.Tool())
	return e
}
