package wait

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Step is how much earlier than its deadline a context of Deadlines may end.
const Step = 10 * time.Millisecond

// kept is how many contexts are kept for others: those of 40 s. Contexts whose deadlines are further apart may take each other's place, and are then
// made anew for each work.
const kept = 4096

// Deadlines makes contexts for work that must end by a certain time. Work with nearly the same deadline has the same context, because a node that is
// busy would otherwise make and drop a context with a timer thousands of times a second. Nobody can end such a context early.
type Deadlines struct {
	life  context.Context
	slots [kept]atomic.Pointer[deadline]
}

// deadline is a context that is kept.
type deadline struct {
	context.Context
	step int64              // its deadline, counted in steps from origin
	end  context.CancelFunc // called by nobody: it ends by itself
}

// origin is where steps are counted from. All Deadlines have the same, so work that gets a context until the deadline of another one's ends together
// with that: a webhook's commit must not be sent once its sender has had a 503.
var origin = time.Now()

// NewDeadlines returns Deadlines whose contexts end with life at the latest, and have its values.
func NewDeadlines(life context.Context) *Deadlines {
	return &Deadlines{life: life}
}

// At returns a context that ends at t, or less than a Step earlier.
func (d *Deadlines) At(t time.Time) context.Context {
	left := max(t.Sub(origin), math.MinInt64+Step) // the zero time is further away than a duration can say
	step := int64(left / Step)
	if left%Step < 0 { // division is towards zero
		step--
	}
	slot := &d.slots[uint64(step)%kept]
	if c := slot.Load(); c != nil && c.step == step {
		return c.Context
	}
	c := &deadline{step: step}
	c.Context, c.end = context.WithDeadline(d.life, origin.Add(time.Duration(step)*Step))
	slot.Store(c)
	return c.Context
}
