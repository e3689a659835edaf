package cluster

import (
	"flag"
	"os"
	"testing"
)

// together is how many tests run at once. They wait more than they work, so it is more than the number of processors.
const together = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = flag.Set("test.parallel", together)
	}
	os.Exit(m.Run())
}
