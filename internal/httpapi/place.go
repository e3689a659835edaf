package httpapi

import (
	"math"
	"strconv"
)

// place is where a watcher of one room stands: it has the first nth changes of the room in the millisecond ms, and all before. A change's
// own id counts the changes of all rooms in its millisecond, which nobody may learn whose token is for one room. A place is written
// as an id whose second number is at least placeBase, which Redis' own never reach.
type place struct{ ms, nth uint64 }

const placeBase = 1 << 63

// placeOf reads a place; false for anything else, an id of Redis' too.
func placeOf(id string) (place, bool) {
	ms, n, ok := numbersOf(id)
	if !ok || n < placeBase {
		return place{}, false
	}
	return place{ms, n - placeBase}, true
}

func (p place) id() string { return joinID(p.ms, placeBase+p.nth) }

// before is the last id that can be before the place's millisecond.
func (p place) before() string {
	if p.ms == 0 {
		return joinID(0, 0)
	}
	return joinID(p.ms-1, math.MaxUint64)
}

func joinID(ms, n uint64) string {
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(n, 10)
}

// ordinals count each room's changes in the millisecond of the last one. Who begins to count within it counts too few: then a
// watcher who comes back gets changes twice, and misses none.
type ordinals struct {
	ms     uint64
	counts map[string]uint64
}

// of counts a change, and gives which of its room's in this millisecond it is, from 1 on.
func (o *ordinals) of(c Change) uint64 {
	ms, _, _ := numbersOf(c.ID)
	if o.counts == nil || ms != o.ms {
		o.ms, o.counts = ms, map[string]uint64{}
	}
	o.counts[c.Room]++
	return o.counts[c.Room]
}
