package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// together is how many worlds run at once. They wait more than they work, so there are more worlds than processors.
const together = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = flag.Set("test.parallel", together)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	logging.Disable()
	if testing.Short() {
		return 0 // the tests skip themselves, so no binary is needed
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if _, err := livekittest.Binary(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return nodetest.Main(m, nodetest.Race())
}
