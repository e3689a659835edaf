package chaos

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/compose"
)

// need finds an engine and builds the images. Without one, a test is skipped with what is missing, except where CI says that there must
// be one. The context ends at Ctrl-C, so that what was made is removed.
func need(t *testing.T) (context.Context, *compose.Engine) {
	t.Helper()
	if testing.Short() {
		t.Skip("containers take a while")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	e, err := compose.Find(ctx)
	if errors.Is(err, compose.ErrUnavailable) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err == nil {
		err = e.BuildImages(ctx, os.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ctx, e
}

// run runs, and fails for each violation.
func run(t *testing.T, o Options) {
	t.Helper()
	ctx, e := need(t)
	r, err := Run(ctx, t, e, o)
	if err != nil {
		t.Error(err)
	}
	for _, v := range r.Violations {
		t.Errorf("%.1f s, during %s, invariant %d: %s", v.At, v.During, v.Invariant, v.Text)
	}
}

// TestSmoke is a few nemeses, one of each kind that needs nothing of the host beside an engine, and one that cuts networks where that
// can be done.
func TestSmoke(t *testing.T) {
	if os.Getenv("CHAOS_SMOKE") == "" {
		t.Skip("make smoke runs it")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Hold, o.Nemeses = 4*time.Second, []string{"kill-leader", "pause-owner", "restart-redis"}
	if err := compose.CanCut(); err != nil {
		t.Logf("without partition-leader: %v", err)
	} else {
		o.Nemeses = append(o.Nemeses, "partition-leader")
	}
	run(t, o)
}

// TestChaos is what make chaos runs: the nemeses that NEMESIS names, or all.
func TestChaos(t *testing.T) {
	if os.Getenv("CHAOS") == "" {
		t.Skip("make chaos runs it; it takes ten minutes")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	run(t, o)
}
