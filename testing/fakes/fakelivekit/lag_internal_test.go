package fakelivekit

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestListLag checks a server whose lists lag: each list shows the world of as long ago as the seed determines, for joins and for
// leaves.
func TestListLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Options{Seed: 7, ListLag: 8 * time.Second})
		defer f.Close()
		lag := f.opts.listLag("r")
		if again := New(Options{Seed: 7, ListLag: 8 * time.Second}); again.opts.listLag("r") != lag || lag <= 0 || lag > 8*time.Second {
			t.Fatalf("the lag is %v", lag)
		} else {
			again.Close()
		}
		shows := func(want int) {
			t.Helper()
			if n := len(f.Shown("r").Participants("r")); n != want {
				t.Errorf("%d are shown, want %d", n, want)
			}
		}
		f.Join("r", Who{Identity: "ada"})
		shows(0)
		time.Sleep(lag - time.Millisecond)
		shows(0)
		time.Sleep(2 * time.Millisecond)
		shows(1)
		f.Leave("r", "ada")
		f.DeleteRoom("r")
		shows(1)
		if len(f.Snapshot().Rooms("r")) != 0 {
			t.Error("the truth lags too")
		}
		time.Sleep(lag + time.Millisecond)
		shows(0)
		time.Sleep(8 * time.Second)
		if rooms := f.Shown("").Rooms("r"); len(rooms) != 0 {
			t.Errorf("the room is listed for ever: %v", rooms)
		}
		f.Join("r", Who{Identity: "ada"})
		shows(0)
		f.CatchUp()
		shows(1)
	})
}
