package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Faults counts the faults of a seed, by kind.
type Faults struct {
	mu     sync.Mutex
	counts map[string]int
}

// Note counts one fault.
func (f *Faults) Note(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[kind]++
}

// Counts returns how often each kind happened.
func (f *Faults) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// String returns the kinds, each with its count.
func (f *Faults) String() string {
	counts := f.Counts()
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s ×%d", kind, counts[kind]))
	}
	return strings.Join(list, ", ")
}

// Shards is the number of masters in a simulated Redis Cluster.
const Shards = 3

// Shard returns the master that has a room's keys.
func Shard(room string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(room))
	return int(h.Sum32() % Shards)
}

// ErrRedis is the error of a call to Redis that a bad phase fails.
var ErrRedis = errors.New("a phase of Redis that was ordered")

// shardPatience is how long a call to a hanging shard takes to fail.
const shardPatience = 2 * time.Second

// Phases are the current bad phases of Redis, for all its clients.
type Phases struct {
	mu          sync.Mutex
	slow, flaky int
	hung        [Shards]int
}

// Slow makes every call take 100 to 900 ms until end is called.
func (p *Phases) Slow() (end func()) { return p.begin(&p.slow) }

// Flaky makes a third of the calls fail, before or after their effect.
func (p *Phases) Flaky() (end func()) { return p.begin(&p.flaky) }

// Hang makes a shard hang.
func (p *Phases) Hang(shard int) (end func()) { return p.begin(&p.hung[shard]) }

func (p *Phases) begin(phase *int) (end func()) {
	add := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		*phase += n
	}
	add(1)
	return sync.OnceFunc(func() { add(-1) })
}

// Fault returns what the phases do to a call. hit is false if they do nothing.
func (p *Phases) Fault(dice *Dice, op memstore.Op, room string) (f memstore.Fault, hit bool) {
	p.mu.Lock()
	slow, flaky, hung := p.slow > 0, p.flaky > 0, p.hung
	p.mu.Unlock()
	topic := "phase " + string(op) + room
	silent := func(room string) bool { return hung[Shard(room)] > 0 }
	switch {
	case room != "" && silent(room):
		return memstore.Fault{Delay: shardPatience, Err: ErrRedis, Late: dice.Roll(topic) < 0.3}, true
	case op == memstore.Index && hung != [Shards]int{}:
		return memstore.Fault{Delay: shardPatience, Without: silent}, true
	case flaky && dice.Roll(topic) < 0.3:
		return memstore.Fault{Err: ErrRedis, Late: dice.Roll(topic) < 0.5}, true
	case slow:
		return memstore.Fault{Delay: time.Duration(100+dice.N(topic, 800)) * time.Millisecond}, true
	}
	return f, false
}
