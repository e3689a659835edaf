package bench

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be a raft node as well, for BenchmarkElection.
func TestMain(m *testing.M) {
	if os.Getenv(raftNodeEnv) == "" {
		os.Exit(m.Run())
	}
	if err := runRaftNode(); err != nil {
		fmt.Fprintln(os.Stderr, "raft node:", err)
		os.Exit(1)
	}
}
