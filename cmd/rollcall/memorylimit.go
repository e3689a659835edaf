package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryShare is the part of the process' memory that Go may take: the rest is for what Go does not count.
	memoryShare = 0.8
	// leastMemory is the lowest limit that is set: below it the garbage collector would do nothing but run.
	leastMemory = 64 << 20
)

// memoryBound is what the process may have, in bytes, by one source.
type memoryBound struct {
	source string
	bytes  uint64
}

// limitMemory tells Go's garbage collector how much memory there is, unless GOMEMLIMIT does.
func limitMemory(log *slog.Logger) {
	if value := os.Getenv("GOMEMLIMIT"); value != "" {
		log.Info("the memory limit of Go is that of GOMEMLIMIT", "limit", value)
		return
	}
	limit, source := memoryLimit(memoryBounds())
	if source == "" {
		return
	}
	debug.SetMemoryLimit(limit)
	log.Info("the memory limit of Go is set; GOMEMLIMIT sets another", "limit_mib", limit>>20, "source", source)
}

// memoryLimit is the part of the smallest bound that Go may take. Without a bound the source is "".
func memoryLimit(bounds []memoryBound) (limit int64, source string) {
	least := memoryBound{bytes: math.MaxInt64}
	for _, b := range bounds {
		if b.bytes < least.bytes {
			least = b
		}
	}
	return max(int64(float64(least.bytes)*memoryShare), leastMemory), least.source
}

func memoryBounds() (bounds []memoryBound) {
	if bytes, err := memlimit.FromCgroup(); err == nil && bytes > 0 {
		bounds = append(bounds, memoryBound{"the memory limit of the cgroup", bytes})
	}
	if limit, size, ok := addressSpace(); ok {
		bounds = append(bounds, memoryBound{"the limit of address space (ulimit -v)", usable(limit, size, goMemory())})
	}
	return bounds
}

// usable is what a limit of address space leaves for memory. Of the address space that the process has, of size bytes, Go uses some as
// memory; the rest is reserved and never becomes any.
func usable(limit, size, memory uint64) uint64 {
	reserved := size - min(memory, size)
	return limit - min(reserved, limit)
}

// goMemory is how much memory Go has from the system, in bytes.
func goMemory() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
