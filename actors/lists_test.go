package actors_test

import (
	"testing"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// TestACutListOfAllRoomsEndsNoSync: what is known otherwise is asked for by name.
func TestACutListOfAllRoomsEndsNoSync(t *testing.T) {
	inTown(t, func(w *town) {
		w.lk.faultyNames = func(list *reconcile.RoomNames) { list.Names, list.Cut = list.Names[:1], true }
		for _, room := range []string{"r1", "r2", "r3"} {
			if err := w.router("n1").Deliver(w.Context(), w.lk.start(room)); err != nil {
				w.Fatal(err)
			}
		}
		w.lk.join("r3", "a")
		report, err := w.sweep("n1").Sync(w.Context(), seat{w, "n1"}.Leader(), actors.Options{})
		if err != nil || report.Synced != 3 || report.Errors != 1 || report.Error == "" || report.Changed != 1 {
			w.Errorf("%+v, %v", report, err)
		}
	}, "n1")
}
