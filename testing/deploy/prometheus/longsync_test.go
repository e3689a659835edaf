package prometheus

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// TestRealLongSync checks that alerts fire when a real node's sync takes long.
func TestRealLongSync(t *testing.T) {
	if os.Getenv("DEPLOY") == "" {
		t.Skip("it takes a minute, and many on a busy machine: set DEPLOY=1")
	}
	t.Parallel()
	w := newAlone(t, nil)
	w.suffer(t, longSyncOutages())
}

func longSyncOutages() []outage {
	return []outage{{name: "LiveKit is slow", alerts: []string{"RollcallCyclesSlow", "RollcallSyncsLong"}, run: slowLists}}
}

// slowLists lets LiveKit answer slowly until the node sees that the sync cannot end within 5 min, and then fast, so that the test need not wait
// for the end.
func slowLists(t *testing.T, w *world, o outage) {
	const (
		rooms = 8000
		// each is how long the list of one room's participants takes. The node asks for 16 at once and counts 500 rooms at a time: the first
		// are done after 39 s.
		each = 1250 * time.Millisecond
	)
	w.livekit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	w.livekit.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
		if c.Method == "ListParticipants" {
			return fakelivekit.APIFault{Delay: each}
		}
		return fakelivekit.APIFault{}
	})
	for i := range rooms {
		w.livekit.CreateRoom(&livekit.CreateRoomRequest{Name: fmt.Sprintf("many-%d", i)})
	}
	begun := time.Now()
	long := phase{lasts: 40 * time.Minute, begin: w.scraped()}
	eventually.Nil(w, 10*time.Minute, "the sync is slow", func() error {
		if w.total("rollcall_cycle_slow", []string{`kind="sync"`}, w.nodes...) == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	slow := w.glance(20 * time.Minute)
	w.livekit.SetAPIFault(nil)
	metric, sync := "rollcall_cycle_seconds_bucket", []string{`kind="sync"`, `le="+Inf"`}
	first := long.begin[on("alone", metric, sync...)].value
	w.await("the sync ends", metric, sync, func(total float64) bool { return total > first+1 }, w.nodes...)
	long.took, long.began, long.end = time.Since(begun), time.Now(), w.scraped()
	// A sync that ended within 5 min is not slow, and these phases are about one.
	for i, p := range []phase{slow, long} {
		if err := (outage{alerts: o.alerts[i : i+1]}).evaluate(t, w.calm, p); err != nil {
			t.Error(err)
		}
	}
}
