package prometheus

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestRealLiveKit checks that alerts fire when LiveKit, or what sends for it, does wrong to a real node.
func TestRealLiveKit(t *testing.T) {
	t.Parallel()
	w := newAlone(t, func(o *nodetest.Options) { o.Flags = append(o.Flags, "--livekit-lag=1s") })
	w.suffer(t, liveKitOutages())
}

func liveKitOutages() []outage {
	return []outage{
		{name: "LiveKit lists nothing", alerts: []string{"RollcallRemovalsHeld"}, run: nothingListed},
		{name: "lost, wrong and foreign", run: lostWrongForeign,
			alerts: []string{"RollcallWebhooksMissing", "RollcallWebhooksRefused", "RollcallWebhooksDropped", "RollcallEntriesPassedOver", "RollcallForeignChange"}},
		{name: "LiveKit refuses the key", alerts: []string{"RollcallLiveKitRefuses"}, run: refuses(twirp.Unauthenticated)},
		{name: "LiveKit limits requests", alerts: []string{"RollcallLiveKitLimits"}, run: refuses(twirp.ResourceExhausted)},
	}
}

// always returns a rule for all requests.
func always(f fakelivekit.APIFault) func(fakelivekit.Call) fakelivekit.APIFault {
	return func(fakelivekit.Call) fakelivekit.APIFault { return f }
}

// nothingListed looks only once, because three syncs that agree remove what was held.
func nothingListed(t *testing.T, w *world, o outage) {
	w.livekit.SetAPIFault(always(fakelivekit.APIFault{Empty: true}))
	defer w.livekit.SetAPIFault(nil)
	var held phase
	w.await("removals are held", "rollcall_held_removals", nil, func(total float64) bool {
		held = w.glance(time.Minute)
		return total > 0
	}, w.nodes...)
	if err := o.evaluate(t, w.calm, held); err != nil {
		t.Error(err)
	}
	w.livekit.SetAPIFault(nil)
	w.settle()
}

// lostWrongForeign loses webhooks, sends some that are not signed, reports lost ones, lists an entry without a name, and writes over a room.
func lostWrongForeign(t *testing.T, w *world, o outage) {
	w.livekit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	w.livekit.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
		if c.Method != "ListRooms" {
			return fakelivekit.APIFault{}
		}
		return fakelivekit.APIFault{Entries: [][]byte{{}}}
	})
	defer w.livekit.SetFate(nil)
	defer w.livekit.SetAPIFault(nil)
	n := w.nodes[0]
	o.fires(t, w, 15*time.Minute, func() {
		w.post(n, "/api/livekit-webhook", "", event("forged"))
		var dropped map[string]any
		if err := json.Unmarshal([]byte(event("room-1")), &dropped); err != nil {
			t.Fatal(err)
		}
		dropped["numDropped"] = 3
		body, err := json.Marshal(dropped)
		if err != nil {
			t.Fatal(err)
		}
		w.hook(n, string(body))
		if err := w.redis.Client().Set(t.Context(), "rooms:participants:room-2", fmt.Sprintf(`["nobody-%d"]`, time.Now().UnixNano()), 0).Err(); err != nil {
			t.Error(err)
		}
	})
	w.livekit.SetAPIFault(nil)
	w.settle()
}

// refuses returns an outage in which LiveKit answers every request with an error.
func refuses(code twirp.ErrorCode) func(*testing.T, *world, outage) {
	return func(t *testing.T, w *world, o outage) {
		w.livekit.SetAPIFault(always(fakelivekit.APIFault{Code: code}))
		defer w.livekit.SetAPIFault(nil)
		o.fires(t, w, 15*time.Minute, nil)
		w.livekit.SetAPIFault(nil)
		w.settle()
	}
}
