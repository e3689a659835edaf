package daemon

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	// memoryShare is the fraction of the process' memory that Go may use. The rest is for memory that Go does not count.
	memoryShare = 0.8
	// leastMemory is the lowest limit that is set: below it the garbage collector would run all the time.
	leastMemory = 64 << 20

	// roomyHeap is how large the heap may grow before it is collected, however little of it is live, and roomyShare the fraction of the limit
	// that this may be. A node without many rooms would otherwise be collecting most of the time that it works. More would cost more: webhooks
	// that go through 128 MiB of memory find less of it in the processor's caches, and get pages that the system must first provide.
	roomyHeap  = 32 << 20
	roomyShare = 0.25
	// mostGrowth limits what more live memory costs until the next look, after paceEvery.
	mostGrowth = 800
	paceEvery  = time.Second
)

// memoryBound is a limit of the process' memory, in bytes, from one source.
type memoryBound struct {
	source string
	bytes  uint64
}

// LimitMemory tells Go's garbage collector how much memory there is, unless GOMEMLIMIT is set, and, until ctx ends, how often to collect,
// unless GOGC is set.
func LimitMemory(ctx context.Context, log *slog.Logger) {
	defer func() {
		if os.Getenv("GOGC") == "" {
			go paceCollector(ctx)
		}
	}()
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

// memoryLimit returns the fraction of the smallest bound that Go may use. The source is "" if there is no bound.
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

// usable returns how much of a limit of address space can be used as memory. The process has size bytes of address space, of
// which Go uses some as memory; the rest is reserved and never becomes memory.
func usable(limit, size, memory uint64) uint64 {
	reserved := size - min(memory, size)
	return limit - min(reserved, limit)
}

// goMemory returns how much memory Go has obtained from the system, in bytes.
func goMemory() uint64 {
	sample := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}

// paceCollector sets how much the heap may grow between two collections.
func paceCollector(ctx context.Context) {
	live, now := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}, 0
	for {
		runtimemetrics.Read(live)
		if percent := growth(live[0].Value.Uint64(), debug.SetMemoryLimit(-1)); percent != now {
			debug.SetGCPercent(percent)
			now = percent
		}
		if wait.For(ctx, paceEvery) != nil {
			return
		}
	}
}

// growth returns by how many percent a heap of live bytes may grow: Go's usual 100, or more, up to roomyHeap.
func growth(live uint64, limit int64) (percent int) {
	room := min(roomyHeap, roomyShare*float64(limit))
	return int(min(mostGrowth, max(100, 100*(room/float64(max(live, 1<<20))-1))))
}
