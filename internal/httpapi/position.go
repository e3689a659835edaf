package httpapi

import (
	"math"
	"strconv"

	"github.com/rollcallhq/rollcall/reconcile"
)

// position is where a watcher of one room resumes: it has everything before the millisecond ms, and the first nth changes of the room in it. A change's own id counts the changes of all rooms in its millisecond, which the holder of a token for one
// room may not learn. A position is written as an id whose second number is at least positionBase, which Redis' own never reach.
type position struct{ ms, nth uint64 }

const positionBase = 1 << 63

// positionOf parses a position. It returns false for anything else, including an id of Redis.
func positionOf(id string) (position, bool) {
	ms, n, ok := numbersOf(id)
	if !ok || n < positionBase {
		return position{}, false
	}
	return position{ms, n - positionBase}, true
}

func (p position) id() string { return joinID(p.ms, positionBase+p.nth) }

// before returns the last id that can precede the position's millisecond.
func (p position) before() string {
	if p.ms == 0 {
		return joinID(0, 0)
	}
	return joinID(p.ms-1, math.MaxUint64)
}

func joinID(ms, n uint64) string {
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(n, 10)
}

// ordinals counts each room's changes in the millisecond of the last change. A count that begins within that millisecond is
// too low: a watcher that comes back then gets some changes twice, and misses none.
type ordinals struct {
	ms     uint64
	counts map[string]uint64
}

// of counts a change and returns its number among the changes of its room in this millisecond, from 1 on.
func (o *ordinals) of(c reconcile.FeedEntry) uint64 {
	ms, _, _ := numbersOf(c.ID)
	if o.counts == nil || ms != o.ms {
		o.ms, o.counts = ms, map[string]uint64{}
	}
	o.counts[c.Room]++
	return o.counts[c.Room]
}
