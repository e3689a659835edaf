package chaos

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/compose"
)

// need is compose.Need with a context that ends at Ctrl-C, so that everything that was made is removed.
func need(t *testing.T) (context.Context, *compose.Engine) {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	return ctx, compose.Need(ctx, t)
}

// run executes a run, and fails the test for each violation.
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

// TestSmoke runs a few nemeses: one of each kind that needs nothing of the host except an engine, and one that cuts networks
// where that is possible.
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

// TestChaos is run by make chaos: the nemeses that NEMESIS names, or all.
func TestChaos(t *testing.T) {
	if os.Getenv("CHAOS") == "" {
		t.Skip("make chaos runs it; it takes about 20 minutes")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	run(t, o)
}
