package fakelivekit

import (
	"math/rand/v2"
	"slices"
	"time"
)

// past is the world as it was until a moment.
type past struct {
	until time.Time
	world world
}

// lock takes the lock for what may change the world, and keeps the world of before where lists lag.
func (f *Fake) lock() {
	f.mu.Lock()
	if f.opts.ListLag == 0 {
		return
	}
	now := time.Now()
	f.past = slices.DeleteFunc(f.past, func(p past) bool { return now.Sub(p.until) > f.opts.ListLag })
	f.past = append(f.past, past{now, f.world.clone()})
}

// listLag is how old a list is: of a room's participants, or with "" of the rooms.
func (o Options) listLag(list string) time.Duration {
	return time.Duration(rand.New(rand.NewPCG(o.Seed, hash(list))).Float64() * float64(o.ListLag))
}

// listed is the world that a list shows. It needs the lock.
func (f *Fake) listed(list string) world {
	if f.opts.ListLag == 0 {
		return f.world
	}
	at := time.Now().Add(-f.opts.listLag(list))
	for _, p := range f.past {
		if p.until.After(at) {
			return p.world
		}
	}
	return f.world
}

// Shown is what the API lists at present: of a room's participants, or with "" of the rooms. Without a ListLag it is Snapshot.
func (f *Fake) Shown(list string) *Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Snapshot{world: f.listed(list).clone()}
}
