package storetest

import (
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Memory returns a fake with its own clock, which stands still until it is advanced.
func Memory() Rig {
	m := &memory{}
	m.unix.Store(1795399866)
	m.Store = memstore.New(memstore.Options{Feed: true, Timeline: true, Node: "n1", Kinds: kinds, Now: func() time.Time { return time.Unix(m.unix.Load(), 0) }})
	return Rig{Store: m.Store, Meddler: m}
}

type memory struct {
	*memstore.Store
	unix atomic.Int64
}

func (m *memory) Advance(d time.Duration) { m.unix.Add(int64(d.Seconds())) }

func (m *memory) Feed(room string) []map[string]string {
	var own []map[string]string
	for _, e := range m.Store.Feed() {
		if e["room"] == room {
			own = append(own, e)
		}
	}
	return own
}
