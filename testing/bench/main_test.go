package bench

import (
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary act as a raft node when BenchmarkElection starts it as one, and as the naive service when TestCompare does.
func TestMain(m *testing.M) {
	run := func() error { os.Exit(m.Run()); return nil }
	switch {
	case os.Getenv(raftNodeEnv) != "":
		run = runRaftNode
	case os.Getenv(naiveEnv) != "":
		run = runNaive
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "a program for a benchmark:", err)
		os.Exit(1)
	}
}
