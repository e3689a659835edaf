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

// lock takes the lock for an operation that may change the world, and keeps the world as it was before where lists lag.
func (f *Fake) lock() {
	f.mu.Lock()
	if f.opts.ListLag == 0 {
		return
	}
	now := time.Now()
	f.past = slices.DeleteFunc(f.past, func(p past) bool { return now.Sub(p.until) > f.opts.ListLag })
	f.past = append(f.past, past{now, f.world.clone()})
}

// CatchUp ends the lag of the lists.
func (f *Fake) CatchUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opts.ListLag, f.past = 0, nil
}

// listLag returns how old a list is: a room's list of participants, or for "" the list of rooms.
func (o Options) listLag(list string) time.Duration {
	return time.Duration(rand.New(rand.NewPCG(o.Seed, hash(list))).Float64() * float64(o.ListLag))
}

// listed returns the world that a list shows. It needs the lock.
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

// Shown returns what the API lists at present: for a room's list of participants, that room alone; for "", the rooms of these
// names, or all rooms.
func (f *Fake) Shown(list string, names ...string) *Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := f.listed(list)
	if list != "" {
		names = []string{list}
	}
	if len(names) > 0 {
		some := world{}
		for _, name := range names {
			if r := shown[name]; r != nil {
				some[name] = r
			}
		}
		shown = some
	}
	return &Snapshot{world: shown.clone()}
}
