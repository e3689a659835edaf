package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/livekit/protocol/livekit"
)

// TestRealNode is an operator's day at the page of a real node: joins and leaves appear without a reload, every button has the
// effect on Redis that it names, and the browser has nothing to complain about.
func TestRealNode(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.join("standup", "ada", "alan")
	p.join("retro", "grace")
	h := newHand(open(t, p.URL(), 1280))
	h.Await(`seen("All present.") && live() && panel("Cluster").innerText.includes("1 of 1 ready") && seen("n1")`)
	h.Eval("window.neverLoadedAgain = true")
	for _, step := range []func(*place, *hand){comings, lists, oneRoom, repairs, schedule, breaker, preferences} {
		step(p, h)
		h.Await("window.neverLoadedAgain && live()")
	}
	if left := h.unpressed(); len(left) > 0 {
		t.Errorf("nobody pressed %q", left)
	}
}

// comings checks joins and leaves in the overview.
func comings(p *place, h *hand) {
	p.join("standup", "hedy")
	h.Await(`panel("Changes").innerText.includes("hedy joined standup")`)
	p.holds("standup", "ada", "alan", "hedy")
	h.press("Pause the list of changes")
	p.livekit.Leave("standup", "hedy")
	h.Await(`seen("Go on (1)") && !seen("hedy left")`)
	h.press("Go on; 1 change waiting")
	h.Await(`seen("hedy left standup")`)
	p.holds("standup", "ada", "alan")
	p.join("board", "barbara")
	h.Await(`seen("board started") && seen("barbara joined board")`)
	p.livekit.DeleteRoom("board")
	h.Await(`seen("board finished")`)
	h.Eval(`all("figure summary").forEach((s) => s.click())`)
	h.Await(`all("figure table").length === 4 && all("figure tbody tr").length > 0`)
}

// lists checks the list of all rooms: live, sorted and searched.
func lists(p *place, h *hand) {
	names := `all(".room-row").sort((x, y) => x.ariaRowIndex - y.ariaRowIndex).map((r) => r.querySelector("a").textContent + " " + r.querySelector(".number").textContent).join() === a`
	h.Eval(`all("nav a").find((l) => says(l) === "Rooms").click()`)
	h.Await(names, "retro 1,standup 2")
	p.join("standup", "hedy")
	p.join("lounge", "clara", "barbara", "katherine", "edsger")
	h.Await(names, "lounge 4,retro 1,standup 3")
	for _, c := range []struct{ head, order string }{
		{"People", "lounge 4,standup 3,retro 1"}, {"Started", "lounge 4,retro 1,standup 3"}, {"Updated", "lounge 4,standup 3,retro 1"}, {"Room", "lounge 4,retro 1,standup 3"},
	} {
		h.press(c.head)
		h.Await(names, c.order)
	}
	p.livekit.Leave("standup", "hedy")
	p.livekit.DeleteRoom("lounge")
	h.Await(names, "retro 1,standup 2")
	p.holds("lounge")
	h.Do(chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent("tand"))
	h.Await(names+` && seen("1 of 2 rooms")`, "standup 2")
	h.Eval(`all(".room-row a")[0].click()`)
}

// agrees holds for a roster that has been compared and has no differences.
const agrees = `seen("no difference") && all("tbody tr").every((row) => row.dataset.state === "same")`

// oneRoom checks the view of one room: Redis and LiveKit side by side, and the room's history.
func oneRoom(p *place, h *hand) {
	h.Await(`document.querySelector(".room h1").textContent === "standup" && seen("2 participants") && seen("no difference") && all("tbody tr").length === 2`)
	h.Await(`["ada joined", "alan joined", "hedy joined", "hedy left", "Room started"].every((text) => panel("Timeline").innerText.includes(text))`)
	h.press("Show ids")
	h.Await(`/event EV_\w+ · version \d+ · by n1/.test(panel("Timeline").innerText)`)
	h.Eval(`all("summary").find((s) => s.textContent === "ada").click()`)
	h.Await(`all("details[open] dd").some((d) => /^PA_\w+$/.test(d.textContent))`)
	p.join("standup", "hedy")
	h.Await(`seen("3 participants") && panel("Redis and LiveKit").innerText.includes("hedy") && ` + agrees)
	h.press("Sync this room")
	h.Await(`seen("Sync of standup done\n1 room compared, 0 errors, 0 removed;")`)
	h.press("Dismiss")
	h.Await(`!seen("Sync of standup done")`)
	p.unheard(func() { p.livekit.Leave("standup", "hedy") })
	h.press("Ask LiveKit again")
	h.Await(`seen("1 difference") && seen("Only in Redis")`)
	p.join("standup", "clara")
	h.Await(`panel("Redis and LiveKit").querySelectorAll("tr[data-state=same]").length === 3`)
	h.Await(`all("tbody tr").length === 4 && seen("1 difference") && seen("4 participants")`)
	p.livekit.Leave("standup", "clara")
	h.Await(`seen("3 participants") && seen("clara left") && all("tbody tr").length === 3 && seen("1 difference")`)
}

// settle waits until a sync may contradict the webhooks so far: --livekit-lag, and a second to be sure.
func settle() { <-time.After(11 * time.Second) }

// repairs checks that changes without webhooks are found, announced by a dry run, and repaired.
func repairs(p *place, h *hand) {
	p.unheard(func() { p.join("retro", "edsger") })
	settle()
	h.Eval(`all("nav a").find((l) => says(l) === "Overview").click()`)
	h.press("Dry run")
	h.Await(`seen("Dry run done") && seen("2 changes would be made, nothing was changed") && seen("hedy would leave") && seen("edsger would join")`)
	p.holds("standup", "ada", "alan", "hedy")
	p.holds("retro", "grace")
	h.press("Copy all as JSON")
	h.Await(`button("Copied")`)
	h.press("Copied")
	h.press("Dismiss")
	h.Await(`!seen("Dry run done")`)
	h.press("Sync now")
	h.Await(`seen("Sync done\n") && seen(" rooms compared, 0 errors, 0 removed;")`)
	h.Await(`seen("1 missed join") && seen("1 missed leave") && ["hedy left standup\nsync", "edsger joined retro\nsync"].every((text) => seen(text, panel("Changes")))`)
	p.holds("standup", "ada", "alan")
	p.holds("retro", "grace", "edsger")
	h.Await(`seen("2 differences repaired") && seen("by hand")`)
	h.press("Full sync")
	h.Await(`seen("Full sync done\n") && seen(" rooms compared, 0 errors, 0 removed, 0 cleaned up;") && seen("nothing to repair")`)
	h.press("Cleanup")
	h.Await(`seen("Cleanup done\n0 removed")`)
	h.Eval(`all("nav a").find((l) => says(l) === "Drift").click()`)
	h.Await(`panel("Latest repairs").innerText.includes("edsger") && panel("Latest repairs").innerText.includes("missed leave")`)
	h.Eval(`all("nav a").find((l) => says(l) === "Overview").click()`)
}

// schedule stops the schedule, which shows as a problem, and starts it.
func schedule(p *place, h *hand) {
	h.press("Stop the schedule")
	h.Await(`document.querySelector("dialog[open]")`)
	h.press("Cancel")
	h.press("Stop the schedule")
	h.press("Stop it")
	h.Await(`seen("The schedule is stopped.") && seen("One thing needs you.") && panel("Sync").innerText.includes("Schedule stopped")`)
	h.press("Start the schedule")
	h.Await(`seen("The schedule is running.") && seen("All present.") && panel("Sync").innerText.includes("Schedule running")`)
}

// breaker makes LiveKit lose its rooms. Nothing is removed until someone has looked.
func breaker(p *place, h *hand) {
	const empty = 12 // more than the breaker releases at once
	for i := range empty {
		p.livekit.CreateRoom(&livekit.CreateRoomRequest{Name: fmt.Sprint("empty-", i)})
	}
	h.Await(`seen("empty-11 started")`)
	settle()
	p.livekit.Crash()
	p.livekit.Start(false)
	h.press("Sync now")
	h.Await(`seen("held: 14 rooms, 4 participants") && seen("Held: the removal of 14 rooms and 4 participants")`)
	p.holds("standup", "ada", "alan")
	h.press("Force…")
	h.Await(`document.querySelector("dialog[open]")`)
	h.press("Cancel")
	h.press("Look and force…")
	h.press("Show what would be removed")
	h.Await(`seen("Forced dry run done") && seen("18 changes would be made") && seen("would be removed") && seen("ada would leave")`)
	p.holds("standup", "ada", "alan")
	h.press("Force…")
	h.press("Force the sync")
	h.Await(`seen("Forced sync done\n") && seen(" rooms compared, 0 errors, 14 removed;") && seen("All present.")`)
	p.holds("standup")
	p.join("standup", "ada")
	h.Await(`seen("ada joined standup")`)
	h.press("Dismiss")
}

// preferences sets the reader's own settings: the theme, and a token.
func preferences(p *place, h *hand) {
	for _, name := range []string{"System theme; switch", "Light theme; switch", "Dark theme; switch"} {
		h.press(name)
	}
	h.press("Connection: Live, n1")
	h.Await(`seen("Changes arrive as they happen.")`)
	h.press("Token: none; enter")
	h.Await(`document.activeElement.type === "password"`)
	h.press("Cancel")
	h.press("Token: none; enter")
	h.Await(`document.activeElement.type === "password"`)
	h.Paste(p.token())
	h.press("Use it")
	h.Await(`button("Token: set; change") && live() && seen("All present.")`)
	h.press("Token: set; change")
	h.press("Forget it")
	h.Await(`button("Token: none; enter") && live() && seen("All present.")`)
}
