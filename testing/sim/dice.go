package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// Dice gives each topic (a room's commits, a room's looks) its own random sequence, so that other topics do not change it.
type Dice struct {
	Seed uint64

	mu     sync.Mutex
	topics map[string]*rand.Rand
}

// Roll returns the topic's next number in [0, 1).
func (d *Dice) Roll(topic string) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.topics == nil {
		d.topics = map[string]*rand.Rand{}
	}
	if d.topics[topic] == nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(topic))
		d.topics[topic] = rand.New(rand.NewPCG(d.Seed, h.Sum64()))
	}
	return d.topics[topic].Float64()
}

// N returns the topic's next number below n.
func (d *Dice) N(topic string, n int) int { return int(d.Roll(topic) * float64(n)) }
