package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// TestARoomOfALaterGeneration checks a room whose claim has a later generation than the cluster. If Redis has lost that generation, the cluster's
// data was restored just then, and the cluster takes the room over. If Redis has it, another rollcall was founded since, and the cluster
// leaves the room to that one.
func TestARoomOfALaterGeneration(t *testing.T) {
	for _, lost := range []bool{true, false} {
		t.Run(map[bool]string{true: "that Redis has lost", false: "of another rollcall"}[lost], func(t *testing.T) {
			dirs := []string{memoryDir(t), memoryDir(t), memoryDir(t)}
			synctest.Test(t, func(t *testing.T) {
				world, err := NewWorld(&Dice{Seed: 1}, 0)
				if err != nil {
					t.Fatal(err)
				}
				var all []*Process
				for i, name := range []string{"n1", "n2", "n3"} {
					p, err := world.Start(&Machine{Name: name, Dir: dirs[i], Expect: 3, Join: []string{"n1:7000", "n2:7000", "n3:7000"}})
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, p)
				}
				defer func() {
					world.Close()
					for _, p := range all {
						p.Kill()
					}
					time.Sleep(time.Minute)
				}()
				time.Sleep(20 * time.Second)
				ours := all[0].Cluster.Status().Generation
				theirs := reconcile.Claim{Generation: ours + 1000, Epoch: 5, Incarnation: 4}
				if !lost {
					if err := world.Store.RaiseGeneration(t.Context(), theirs.Generation); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := world.Store.Claim(t.Context(), "r", theirs); err != nil {
					t.Fatal(err)
				}
				world.Fake.Join("r", fakelivekit.Who{Identity: "anna"})
				time.Sleep(2 * SyncInterval)
				if differences := Truth(world.Store, world.Fake.Snapshot(), []string{"r"}); (len(differences) == 0) != lost {
					t.Errorf("the room: %q", differences)
				}
				for _, p := range all {
					if now := p.Cluster.Status().Generation; (now > theirs.Generation) != lost || !lost && now != ours {
						t.Errorf("%s has the generation %d after %d; the room had %d", p.Name, now, ours, theirs.Generation)
					}
				}
				if stored, err := world.Store.Generation(t.Context()); err != nil || stored < theirs.Generation {
					t.Errorf("Redis has the generation %d: %v", stored, err)
				}
			})
		})
	}
}
