package actors_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestACutListOfAllRoomsEndsNoSync checks that a sync whose list of all rooms is cut off still asks by name for the other rooms that it knows.
func TestACutListOfAllRoomsEndsNoSync(t *testing.T) {
	inTown(t, func(w *town) {
		w.lk.faultyNames = func(list *reconcile.RoomNames) { list.Names, list.Cut = list.Names[:1], true }
		for _, room := range []string{"r1", "r2", "r3"} {
			if err := w.router("n1").Deliver(w.Context(), w.lk.start(room)); err != nil {
				w.Fatal(err)
			}
		}
		w.lk.join("r3", "a")
		report, err := w.sweep("n1").Sync(w.Context(), seat{w, "n1"}.Leader(), reconcile.Options{})
		if err != nil || report.Synced != 3 || report.Errors != 1 || report.Error == "" || report.Changed != 1 {
			w.Errorf("%+v, %v", report, err)
		}
	}, "n1")
}

// TestSilenceIsCountedOverAllOwners has a silent room whose owner has no other room for which LiveKit could answer.
func TestSilenceIsCountedOverAllOwners(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := []string{}
		for i := range 20 {
			rooms = append(rooms, fmt.Sprint("room", i))
		}
		silent := w.owned("n1", rooms)[0]
		others := w.owned("n2", rooms)
		for _, room := range append(others[:1:1], silent) {
			if err := w.router("n1").Deliver(w.Context(), w.lk.start(room)); err != nil {
				w.Fatal(err)
			}
		}
		w.lk.mu.Lock()
		delete(w.lk.rooms, silent)
		w.lk.mu.Unlock()
		w.lk.order(func(room string) (bool, error) {
			if room == silent {
				return false, fmt.Errorf("unavailable: %w", reconcile.ErrNoAnswer)
			}
			return false, nil
		})
		sweep := w.sweep("n1")
		for cycle := 1; cycle <= 11; cycle++ {
			report, err := sweep.Sync(w.Context(), seat{w, "n1"}.Leader(), reconcile.Options{Scheduled: true})
			if err != nil {
				w.Fatal(err)
			}
			left, err := w.store.Index(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			if gone := !slices.Contains(left, silent); gone != (cycle == 11) || report.Cleaned != map[bool]int{true: 1}[gone] {
				w.Fatalf("cycle %d: gone %v, %+v", cycle, gone, report)
			}
			time.Sleep(30 * time.Second)
		}
	}, "n1", "n2")
}
