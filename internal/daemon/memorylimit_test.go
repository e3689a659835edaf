package daemon

import (
	"math"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	for name, c := range map[string]struct {
		bounds []memoryBound
		limit  int64
		source string
	}{
		"none":               {nil, 0, ""},
		"one":                {[]memoryBound{{"cgroup", 1000 << 20}}, 800 << 20, "cgroup"},
		"the smaller":        {[]memoryBound{{"cgroup", 1000 << 20}, {"ulimit", 500 << 20}}, 400 << 20, "ulimit"},
		"the smaller, first": {[]memoryBound{{"cgroup", 500 << 20}, {"ulimit", 1000 << 20}}, 400 << 20, "cgroup"},
		"next to nothing":    {[]memoryBound{{"ulimit", 1 << 20}}, leastMemory, "ulimit"},
		"nothing":            {[]memoryBound{{"ulimit", 0}}, leastMemory, "ulimit"},
		"no limit":           {[]memoryBound{{"cgroup", math.MaxUint64}}, 0, ""},
	} {
		limit, source := memoryLimit(c.bounds)
		if source != c.source || source != "" && limit != c.limit {
			t.Errorf("%s: %d by %q, want %d by %q", name, limit, source, c.limit, c.source)
		}
	}
}

func TestUsableAddressSpace(t *testing.T) {
	for _, c := range []struct{ limit, size, memory, want uint64 }{
		{2000, 1200, 50, 850}, // 1150 are reserved
		{2000, 50, 50, 2000},
		{2000, 40, 50, 2000}, // the two are not read at the same moment
		{1000, 1200, 50, 0},
	} {
		if got := usable(c.limit, c.size, c.memory); got != c.want {
			t.Errorf("of %d with %d in use, %d of it memory: %d, want %d", c.limit, c.size, c.memory, got, c.want)
		}
	}
}

func TestGrowth(t *testing.T) {
	const none = math.MaxInt64 // no limit
	for _, c := range []struct {
		live  uint64
		limit int64
		want  int
	}{
		{0, none, 800}, {2 << 20, none, 800}, {8 << 20, none, 300}, {16 << 20, none, 100}, {1 << 30, none, 100},
		{8 << 20, 96 << 20, 200}, {4 << 20, leastMemory, 300}, {32 << 20, leastMemory, 100},
	} {
		if got := growth(c.live, c.limit); got != c.want {
			t.Errorf("%d live of at most %d: %d, want %d", c.live, c.limit, got, c.want)
		}
	}
}
