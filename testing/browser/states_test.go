package browser

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

func TestToken(t *testing.T) {
	f := newFake(t, func(f *fake) { f.token = "admin-token-of-the-tests" })
	b := open(t, f.URL, 1280, "401")
	b.Await(`seen("This node wants a token") && seen("Not shown: a valid token is needed.") && seen("No access") && !button("Sync now") && !button("Stop the schedule")`)
	enter := func(token string) {
		b.Press("Enter a token")
		b.Await(`document.activeElement.type === "password"`)
		b.Do(chromedp.KeyEvent(token), chromedp.KeyEvent("\r"))
	}
	enter("wrong")
	b.Await(`!document.querySelector("dialog[open]") && seen("This node does not accept the token") && !seen("This node wants a token") && !button("Sync now")`)
	b.Press("Connection: No access")
	b.Await(`seen("The node does not accept the token.")`)
	enter("  admin-token-of-the-tests ")
	b.Await(loaded + ` && seen("All present.") && live()`)
	if kept := browsertest.Eval[string](b, "JSON.stringify(localStorage) + location.href + document.cookie"); kept != "{}"+f.URL+"/" {
		t.Errorf("the token is kept beyond the tab: %s", kept)
	}
	b.Reload()
	b.Await(loaded + ` && live()`)
	b.Press("Token: set; change")
	b.Press("Forget it")
	b.Await(`seen("This node wants a token") && !seen("10.0.0.3") && sessionStorage.length === 0`)
}

func TestNodeGone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b := open(t, f.URL, 1280, "ERR_", "Failed to load resource")
	b.Await(loaded + ` && live()`)
	b.Eval(`location.hash = "#/rooms"`)
	b.Await(`seen("19 rooms")`)
	b.Eval(`location.hash = "#/rooms/standup"`)
	b.Await(`seen("missed leave") && ` + agrees)
	b.Eval(`location.hash = "#/"`)
	f.with(func() { f.dead = true })
	f.hangUp()
	b.Await(`seen("This node does not answer") && seen("No answer") && seen("10.0.0.3")`)
	// Half a minute later the page must say how old its data is.
	b.Eval(`(() => { const real = Date.now; Date.now = () => real() + 45000; })()`)
	b.Await(`panel("Cluster").dataset.state === "stale" && /\d+ s old/.test(panel("Cluster").innerText)`)
	b.Press("Connection: No answer, n1")
	b.Await(`/Nothing heard for \d+ s\./.test(document.body.innerText)`)
	b.Eval(`location.hash = "#/rooms/standup"`)
	b.Await(`["Redis and LiveKit", "Timeline"].every((name) => /\d+ s old/.test(panel(name).innerText)) && seen("missed leave")`)
	b.Eval(`location.hash = "#/rooms"`)
	b.Await(`seen("19 rooms") && /\d+ s old/.test(document.querySelector(".rooms-status").innerText)`)
	b.Eval(`location.hash = "#/"`)
	f.with(func() { f.dead = false })
	b.Press("Try now")
	b.Await(`seen("All present.") && panel("Cluster").dataset.state === "ready" && live() && document.activeElement.tagName === "H1"`)
	b.Eval(`location.hash = "#/rooms"`)
	b.Await(`seen("19 rooms") && !seen(" s old")`)
}

func TestUnwell(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) {
		f.status["syncServiceRunning"] = false
		last := f.status["lastSync"].(object)
		last["result"] = object{"synced": 17, "errors": 2, "cleaned": 0}
		last["firstError"] = "LiveKit: deadline exceeded"
		f.member(0)["state"], f.member(0)["why"] = "unready", "no other node can reach this one"
		f.member(2)["state"] = "unreachable"
		f.member(1)["cannotWrite"] = []string{"10.0.0.7:6379"}
	})
	b := open(t, f.URL, 1280)
	// The errors of the sync may come from Redis: they are no cause of their own.
	b.Await(`seen("3 things need you.") && seen("The schedule is stopped") && seen("Redis does not answer n2") && !seen("The last sync had")`)
	b.Await(`seen("n1 takes no webhooks") && seen("n3 is away") && ["Not ready", "Unreachable", "1 of 3 ready", "Redis takes no commits at 10.0.0.7:6379", "no other node can reach this one"].every((text) => panel("Cluster").innerText.includes(text))`)
	f.with(func() { delete(f.member(1), "cannotWrite"); f.member(2)["state"] = "ready" })
	b.Await(`seen("3 things need you.") && !seen("is away") && seen("The last sync had 2 errors") && seen("First error: LiveKit: deadline exceeded")`)
	b.Snap("unwell-desktop-light")
	b.Press("Start the schedule")
	b.Await(`seen("2 things need you.") && document.querySelector("main").contains(document.activeElement) && document.activeElement.tagName === "H1"`)
}

func TestEmptyCluster(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.rooms = map[string]object{}
		delete(f.status, "lastSync")
		delete(f.status, "lastCleanup")
		f.stats["points"] = []object{}
		f.drift = object{"totals": object{}, "entries": []object{}}
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("Not compared yet.") && seen("No points yet.") && seen("Nothing has changed since this page was opened.")`)
	b.Eval(`location.hash = "#/rooms"`)
	b.Await(`seen("Redis holds no room now")`)
	b.Eval(`location.hash = "#/drift"`)
	b.Await(`seen("No sync has had to repair anything")`)
}

// TestWithoutEvents checks the page with an older node, or behind a proxy that swallows streams.
func TestWithoutEvents(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) { f.noFeed = true })
	b := open(t, f.URL, 1280, "404")
	b.Await(loaded + ` && seen("Polling")`)
	f.with(func() { f.status["syncServiceRunning"] = false })
	b.Await(`seen("The schedule is stopped")`)
	f.with(func() { f.noFeed = false })
	b.Await(`live()`) // within a minute: another node behind the same address may have events
}

func TestThemeSwitch(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Prefer("prefers-color-scheme", "light")
	b.Await(loaded)
	paper := func() string {
		return browsertest.Eval[string](b, "getComputedStyle(document.documentElement).backgroundColor")
	}
	light := paper()
	b.Press("System theme; switch")
	b.Press("Light theme; switch")
	b.Await(`button("Dark theme; switch")`)
	dark := paper()
	if light == dark {
		t.Errorf("both themes are %s", dark)
	}
	b.Reload()
	b.Await(loaded + ` && button("Dark theme; switch")`)
	if again := paper(); again != dark {
		t.Errorf("after a reload: %s, was %s", again, dark)
	}
}

// roomToken makes a node act as for a token that may not read the cluster; message says what it lacks.
func roomToken(message string) func(*fake) {
	return func(f *fake) {
		for _, path := range []string{"/api/sync-rooms", "/api/cluster", "/api/stats", "/api/drift", "/api/check-match"} {
			f.failing[path] = 403
		}
		f.says[403] = message
		f.wholeFeedRefused = true
	}
}

// TestRoomToken checks that someone who may read only one room sees that one, live, and elsewhere hears what the token lacks.
func TestRoomToken(t *testing.T) {
	f := newFake(t, roomToken("The token does not allow this: it needs roomList.")) // one full stop, whoever writes it
	b := open(t, f.URL+"/#/rooms/standup", 1280, "403")
	b.Await(`seen("This token may not read the cluster") && seen("missed leave") && live()`)
	f.change("participant_joined", "standup", "hedy")
	b.Await(`seen("hedy joined")`)
	b = open(t, f.URL, 1280, "403")
	b.Await(`seen("No access") && seen("The token does not allow this: it needs roomList.") && !seen("roomList..") && !seen("Connecting") && !button("Sync now") && !button("Stop the schedule") && !button("Pause") && panel("Changes").innerText.includes("Not shown.")`)
	b.Snap("room-token-desktop-light")
}

// TestTokenWithoutRoomAdmin checks that a participant's own token, which LiveKit gave for joining, hears what it lacks.
func TestTokenWithoutRoomAdmin(t *testing.T) {
	f := newFake(t, roomToken("The token does not allow this: it needs roomAdmin with the name of this room, or roomList"), func(f *fake) {
		for _, path := range []string{"/api/rooms", "/api/rooms/timeline", "/api/rooms/livekit", "/api/events"} {
			f.failing[path] = 403
		}
	})
	b := open(t, f.URL+"/#/rooms/standup", 1280, "403")
	b.Await(`seen("This token may not read this room") && seen("it needs roomAdmin with the name of this room, or roomList.") && seen("No access") && !seen("Connecting") && !seen("Polling") && !button("Ask LiveKit again") && panel("Redis and LiveKit").innerText.includes("Not shown.")`)
}

// TestReaderSeesNoButtons checks that a token that only reads is offered no action, not even where a problem has one.
func TestReaderSeesNoButtons(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) {
		f.status["mayAct"] = false
		f.status["syncServiceRunning"] = false
		f.status["lastSync"].(object)["held"] = object{"rooms": 25, "participants": 40, "cycles": 1}
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("Schedule stopped") && seen("The schedule is stopped") && seen("Held: the removal of 25 rooms")`)
	for _, action := range []string{"Sync now", "Dry run", "Full sync", "Cleanup", "Force…", "Look and force…", "Start the schedule"} {
		if browsertest.Eval[bool](b, `Boolean(button(a))`, action) {
			t.Errorf("%s is offered", action)
		}
	}
	f.with(func() { f.status["mayAct"] = true })
	b.Await(`button("Sync now") && button("Look and force…") && all("button").filter((e) => says(e) === "Start the schedule").length === 2`)
}

// TestUnknownAddress checks that an address that the page does not have says so, with its own path and behind the #.
func TestUnknownAddress(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/nowhere", 1280)
	b.Await(`seen("There is no such address") && seen("#/nowhere is not a part of this page.") && document.title === "No such address · rollcall"`)
	inspect(t, b, "an unknown address")
	b.Snap("unknown-desktop-light")
	b.Eval(`all("main a").find((l) => says(l) === "Rooms").click()`)
	b.Await(`seen("19 rooms") && !seen("There is no such address")`)
	b = open(t, f.URL+"/no/where", 1280, "404")
	b.Await(`seen("There is no such address") && seen("/no/where is not a part of this page.")`)
	b.Eval(`all("nav a").find((l) => says(l) === "Rooms").click()`)
	b.Await(`seen("19 rooms") && location.pathname === "/"`)
}
