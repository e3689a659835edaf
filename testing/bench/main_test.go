package bench

import (
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary act as a raft node when BenchmarkElection starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv(raftNodeEnv) == "" {
		os.Exit(m.Run())
	}
	if err := runRaftNode(); err != nil {
		fmt.Fprintln(os.Stderr, "raft node:", err)
		os.Exit(1)
	}
}
