package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/livekittest"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// together is how many worlds run at once. They wait more than they work, so there are more than processors.
const together = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = flag.Set("test.parallel", together)
	}
	os.Exit(run(m))
}

// quiet takes what go-redis says of a server that a test has killed.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func run(m *testing.M) int {
	redis.SetLogger(quiet{})
	if testing.Short() {
		return 0 // the tests skip themselves; say nothing of binaries
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if _, err := livekittest.Binary(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return nodetest.Main(m, true)
}
