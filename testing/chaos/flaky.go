package chaos

import (
	"math/rand/v2"
	"sync"
	"time"
)

// fate is what a flaky proxy does with an answer.
type fate int

const (
	arrive fate = iota
	reset       // the connection ends without this answer
	lose        // neither this answer nor any later one of the connection arrives
)

// resets and losses are, per thousand answers, how many end their connection and how many are lost with all that follow on it.
const (
	resets = 10
	losses = 3
)

// trouble draws the fates of answers. It is safe for concurrent use.
type trouble struct {
	begun time.Time
	mu    sync.Mutex
	dice  *rand.Rand
}

func newTrouble(dice *rand.Rand) *trouble {
	return &trouble{begun: time.Now(), dice: rand.New(rand.NewPCG(dice.Uint64(), dice.Uint64()))}
}

// next returns the fate of one answer and its delay. Delays come in bursts of half a second, with half a second in between. A nil
// trouble delivers everything at once.
func (t *trouble) next() (fate, time.Duration) {
	if t == nil {
		return arrive, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	late := time.Duration(0)
	if int(time.Since(t.begun)/(500*time.Millisecond))%2 == 1 {
		late = 200*time.Millisecond + time.Duration(t.dice.IntN(200))*time.Millisecond
	}
	switch draw := t.dice.IntN(1000); {
	case draw < resets:
		return reset, late
	case draw < resets+losses:
		return lose, late
	}
	return arrive, late
}
