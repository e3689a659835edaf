package attack

import (
	"flag"
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// together is how many worlds run at once. Each attack uses whole processors, so more of them would disturb each other.
const together = "3"

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = flag.Set("test.parallel", together)
	}
	logging.Disable()
	// The race detector maps more memory than the limit.
	os.Exit(nodetest.Main(m, false))
}
