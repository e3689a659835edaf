package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
)

var concurrencyTests = map[string]func(*testing.T, Rig){
	"readers never see one key without the other": func(t *testing.T, r Rig) {
		var done atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !done.Load() {
					p, s := r.public(t, "a")
					if p == "" {
						continue
					}
					var v struct {
						Version      uint64
						Participants []reconcile.Participant
					}
					if err := json.Unmarshal([]byte(s), &v); err != nil {
						t.Errorf("state %s gave %v", s, err)
						return
					}
					if want := fmt.Sprintf(`["v%d"]`, v.Version); p != want {
						t.Errorf("participants %s next to states of version %d", p, v.Version)
						return
					}
				}
			})
		}
		rec := r.claim(t, "a", claim(1, 1, 1))
		for i := range 200 {
			c := write(rec, fmt.Sprintf("v%d", rec.Version+1))
			if i%4 == 3 {
				c = remove(rec)
			}
			r.commit(t, c)
			rec.Version, rec.Appended = c.Version, c.Version
		}
		done.Store(true)
		wg.Wait()
	},
	"rooms go at once, each in its order": func(t *testing.T, r Rig) {
		const rooms, commits = 40, 25
		var wg sync.WaitGroup
		for i := range rooms {
			wg.Go(func() {
				room := fmt.Sprintf("room %d", i)
				rec, err := r.Claim(t.Context(), room, claim(1, 1, 1))
				for range commits {
					if err != nil {
						break
					}
					c := write(rec, "u")
					_, err = r.Commit(t.Context(), c)
					rec.Version, rec.Appended = c.Version, c.Version
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range rooms {
			room := fmt.Sprintf("room %d", i)
			check(t, "version of "+room, r.claim(t, room, claim(1, 2, 1)).Version, commits)
			feed := r.Feed(room)
			check(t, "entries of "+room, len(feed), commits)
			chain(t, feed)
		}
	},
	"owners race for a room": func(t *testing.T, r Rig) {
		var wins atomic.Uint64
		var wg sync.WaitGroup
		for owner := range uint64(8) {
			wg.Go(func() {
				for try := range uint64(20) {
					c := claim(1, try*8+owner, owner)
					rec, err := r.Claim(t.Context(), "a", c)
					if err == nil {
						_, err = r.Commit(t.Context(), write(rec, "u"))
					}
					if err == nil {
						wins.Add(1)
					} else if !errors.Is(err, reconcile.StaleOwner) {
						t.Errorf("owner %d gave %v", owner, err)
					}
				}
			})
		}
		wg.Wait()
		check(t, "version", r.claim(t, "a", claim(2, 1, 1)).Version, wins.Load())
		chain(t, r.Feed("a"))
	},
	"a room's calls keep their order": func(t *testing.T, r Rig) {
		// Many concurrent calls for one room: each sees the room whole, and exactly one commit follows each version.
		rec := r.claim(t, "a", claim(1, 1, 1))
		var wins atomic.Uint64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := r.Commit(t.Context(), write(rec, "u"))
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, reconcile.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		check(t, "commits that went through", wins.Load(), 1)
	},
}
