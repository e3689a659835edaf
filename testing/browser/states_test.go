package browser

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rollcallhq/rollcall/testing/browsertest"
)

func TestToken(t *testing.T) {
	f := newFake(t, func(f *fake) { f.token = "admin-token-of-the-tests" })
	b := open(t, f.URL, 1280, "401")
	b.Await(`seen("This node wants a token") && seen("Not shown: a token is needed.") && seen("No access")`)
	enter := func(token string) {
		b.Press("Enter a token")
		b.Await(`document.activeElement.type === "password"`)
		b.Do(chromedp.KeyEvent(token), chromedp.KeyEvent("\r"))
	}
	enter("wrong")
	b.Await(`!document.querySelector("dialog[open]") && seen("This node wants a token")`)
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
	// Half a minute later what is shown must say how old it is.
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
	f := newFake(t, func(f *fake) {
		f.status["syncServiceRunning"] = false
		last := f.status["lastSync"].(object)
		last["result"] = object{"synced": 17, "errors": 2, "cleaned": 0}
		last["firstError"] = "LiveKit: deadline exceeded"
		f.cluster["members"].([]object)[0]["state"] = "unready"
		f.cluster["members"].([]object)[2]["state"] = "unreachable"
		f.cluster["members"].([]object)[1]["cannotWrite"] = []string{"10.0.0.7:6379"}
	})
	b := open(t, f.URL, 1280)
	b.Await(`seen("3 things need you.") && seen("The schedule is stopped") && seen("could not examine 2 rooms") && seen("First error: LiveKit: deadline exceeded")`)
	b.Await(`seen("2 nodes are not ready: n1, n3") && ["Not ready", "Unreachable", "1 of 3 ready", "Redis takes no commits at 10.0.0.7:6379"].every((text) => panel("Cluster").innerText.includes(text))`)
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
	b.Await(`seen("No room is live now")`)
	b.Eval(`location.hash = "#/drift"`)
	b.Await(`seen("No sync has had to repair anything")`)
}

// TestWithoutEvents: an older node, or a proxy that swallows streams.
func TestWithoutEvents(t *testing.T) {
	f := newFake(t, func(f *fake) { f.noFeed = true })
	b := open(t, f.URL, 1280, "404")
	b.Await(loaded + ` && seen("Polling")`)
	f.with(func() { f.status["syncServiceRunning"] = false })
	b.Await(`seen("The schedule is stopped")`)
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

// TestRoomToken: who may read one room only sees that one, live.
func TestRoomToken(t *testing.T) {
	f := newFake(t, func(f *fake) {
		for _, path := range []string{"/api/sync-rooms", "/api/cluster", "/api/stats", "/api/drift"} {
			f.failing[path] = 403
		}
		f.wholeFeedRefused = true
	})
	b := open(t, f.URL+"/#/rooms/standup", 1280, "403")
	b.Await(`seen("This token may not read the cluster") && seen("missed leave") && live()`)
	f.change("participant_joined", "standup", "hedy")
	b.Await(`seen("hedy joined")`)
}
