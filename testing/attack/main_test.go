package attack

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// together is how many worlds run at once. Attacks take whole processors: more at a time would attack each other.
const together = "3"

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = flag.Set("test.parallel", together)
	}
	redis.SetLogger(quiet{})
	// The race detector maps more memory than the limit.
	os.Exit(nodetest.Main(m, false))
}

// quiet takes what go-redis says of a server that a test has ended.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
