package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const loaded = `seen("10.0.0.3") && button("Sync now")`

// lastAsked returns the action that the node received last, as JSON, or "".
func (f *fake) lastAsked() (text string) {
	f.with(func() {
		if len(f.asked) > 0 {
			text = fmt.Sprint(f.asked[len(f.asked)-1])
		}
	})
	return text
}

func TestEveryButton(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded)
	for _, c := range []struct{ button, order, says string }{
		{"Sync now", "map[action:sync]", "Sync done\n19 rooms compared, 0 errors, 0 removed"},
		{"Full sync", "map[action:full-sync]", "Full sync done\n19 rooms compared, 0 errors, 0 removed, 2 cleaned up"},
		{"Cleanup", "map[action:cleanup]", "Cleanup done\n2 removed"},
		{"Dry run", "map[action:sync dryRun:true]", "2 changes would be made, nothing was changed"},
		{"Stop it", "map[action:stop-service]", "The schedule is stopped."},
		{"Start the schedule", "map[action:start-service]", "The schedule is running."},
	} {
		if c.button == "Stop it" {
			b.Press("Stop the schedule")
		}
		b.Press(c.button)
		b.Await(`seen(a) && !idle(button("Sync now"))`, c.says)
		if got := f.lastAsked(); got != c.order {
			t.Errorf("%s asks for %s, want %s", c.button, got, c.order)
		}
	}
	b.Press("Dry run")
	b.Await(`seen("ada would leave") && seen("LiveKit does not list it") && seen("would be removed")`)
	b.Press("Dismiss")
	b.Await(`!seen("Dry run done") && document.activeElement === button("Sync now")`)
}

// TestSyncOfThisRoom checks that the buttons of a room's view act on that room alone, and that their result is shown there and in the overview.
func TestSyncOfThisRoom(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms/standup", 1280)
	b.Await(`seen("3 participants") && button("Sync this room")`)
	for _, c := range []struct{ buttons, order, says string }{
		{"Sync this room", "map[action:sync room:standup]", "Sync of standup done\n1 room compared, 0 errors, 0 removed"},
		{"Dry run", "map[action:sync dryRun:true room:standup]", "Dry run of standup done"},
		{"Force…|Show what would be removed", "map[action:sync dryRun:true force:true room:standup]", "Forced dry run of standup done"},
		{"Force…|Force the sync", "map[action:sync force:true room:standup]", "Forced sync of standup done"},
	} {
		for name := range strings.SplitSeq(c.buttons, "|") {
			b.Press(name)
		}
		b.Await(`seen(a) && !idle(button("Sync this room"))`, c.says)
		if got := f.lastAsked(); got != c.order {
			t.Errorf("%s asks for %s, want %s", c.buttons, got, c.order)
		}
	}
	b.Eval(`location.hash = "#/rooms/lounge"`)
	b.Await(`document.querySelector(".room h1").textContent === "lounge" && button("Sync this room") && !seen("Forced sync")`)
	b.Eval(`location.hash = "#/"`)
	b.Await(`seen("Forced sync of standup done")`)
}

func TestWhatASyncPassedOverIsShown(t *testing.T) {
	f := newFake(t, func(f *fake) {
		last := f.status["lastSync"].(object)
		last["passedOver"], last["slow"] = object{"entries": 2, "first": "a room without a name, sid RM_x"}, true
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("LiveKit lists 2 entries that cannot be used") && seen("a room without a name, sid RM_x") && seen("A sync takes longer than 5 minutes")`)
}

func TestForceAsksFirst(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.status["lastSync"].(object)["held"] = object{"rooms": 25, "participants": 40, "cycles": 1}
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("Held: the removal of 25 rooms and 40 participants") && seen("if it is right, wait".slice(3)) && seen("(1 so far)")`)
	b.Press("Force…")
	b.Await(`document.querySelector("dialog[open]") && seen("The breaker holds the removal of 25 rooms")`)
	if f.lastAsked() != "" {
		t.Error("forced without a confirmation")
	}
	b.Press("Cancel")
	b.Await(`!document.querySelector("dialog[open]") && document.activeElement === button("Force…")`)
	b.Press("Look and force…")
	b.Press("Show what would be removed")
	b.Await(`seen("Forced dry run done") && seen("Nothing would change.")`)
	if got := f.lastAsked(); got != "map[action:sync dryRun:true force:true]" {
		t.Errorf("asked %s", got)
	}
	b.Press("Force…")
	b.Press("Force the sync")
	b.Await(`seen("Forced sync done")`)
	if got := f.lastAsked(); got != "map[action:sync force:true]" {
		t.Errorf("asked %s", got)
	}
}

func TestStopAsksFirst(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded)
	b.Press("Stop the schedule")
	b.Await(`document.querySelector("dialog[open]") && seen("No node syncs or cleans up until somebody starts the schedule again")`)
	inspect(t, b, "the dialog before a stop")
	b.Snap("stop-desktop-light")
	b.Press("Cancel")
	b.Await(`!document.querySelector("dialog[open]") && document.activeElement === button("Stop the schedule")`)
	if asked := f.lastAsked(); asked != "" {
		t.Errorf("without a confirmation the page asked for %s", asked)
	}
	b.Press("Stop the schedule")
	b.Press("Stop it")
	b.Await(`seen("The schedule is stopped.") && seen("Schedule stopped") && button("Start the schedule")`)
}

func TestProgressAndFailure(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	f := newFake(t, func(f *fake) { f.holding = hold })
	b := open(t, f.URL, 1280, "503")
	b.Await(loaded)
	b.Press("Sync now")
	b.Await(`seen("Sync is running") && idle(button("Cleanup")) && readOut("Sync is running")`)
	b.Eval(`all(".actions button, .sync .panel-aside button").forEach((e) => e.click())`)
	b.Await(`document.activeElement === button("Sync now") && !document.querySelector("dialog[open]")`)
	f.with(func() {
		if len(f.asked) != 1 {
			t.Errorf("asked %v while an action runs", f.asked[1:])
		}
	})
	f.with(func() {
		f.status["progress"] = object{"kind": "sync", "done": 120, "of": 1000, "startedAt": iso(time.Now())}
	})
	b.Await(`seen("120 of 1,000 rooms") && document.querySelector("progress").position === 0.12`)
	f.with(func() {
		delete(f.status, "progress")
		delete(f.status, "leader")
		f.cluster["leader"] = ""
	})
	close(hold)
	b.Await(`seen("Sync failed") && seen("The cluster has no leader now; try again shortly.") && seen("The cluster has no leader\n")`)
	b.Await(`!seen("Sync is running") && document.title.startsWith("(1) ")`)
	f.with(func() {
		f.status["leader"], f.cluster["leader"] = "n3", "n3"
		f.send("leader", object{"leader": "n3", "term": 4, "epoch": 12})
	})
	b.Await(`!seen("The cluster has no leader\n") && seen("All present.") && seen("led by n3")`)
}

// TestCycleOfTheSchedule checks that the page also shows the progress of a scheduled cycle.
func TestCycleOfTheSchedule(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.status["progress"] = object{"kind": "sync", "done": 3, "of": 4, "startedAt": iso(time.Now())}
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("A sync is running") && seen("3 of 4 rooms") && !readOut("is running")`)
}
