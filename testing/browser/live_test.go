package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/browsertest"
)

// TestLive: people come and go while the page is open, in the overview, the list and the room.
func TestLive(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded + ` && live()`)
	f.change("participant_joined", "standup", "hedy")
	b.Await(`panel("Changes").innerText.includes("hedy joined standup")`)
	b.Press("Pause")
	f.change("participant_left", "standup", "hedy")
	b.Await(`seen("Go on (1)") && !seen("hedy left")`)
	b.Press("Go on; 1 change waiting")
	b.Await(`seen("hedy left standup")`)

	b.Eval(`location.hash = "#/rooms"`)
	people := `all(".room-row").find((r) => r.querySelector("a").textContent === "standup").querySelector(".number").textContent === a`
	b.Await(people, "3")
	f.change("participant_joined", "standup", "hedy")
	b.Await(people, "4")

	b.Eval(`location.hash = "#/rooms/standup"`)
	b.Await(`seen("4 participants")`)
	f.change("participant_joined", "standup", "barbara")
	b.Await(`seen("5 participants") && seen("barbara joined") && panel("Redis and LiveKit").innerText.includes("barbara")`)
}

// TestReconnect: what happened meanwhile is not missed, and nobody has to do anything.
func TestReconnect(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms", 1280)
	b.Await(`all(".room-row").length === 19 && live()`)
	f.hangUp()
	f.change("participant_joined", "standup", "hedy")
	b.Await(`live() && all(".room-row").find((r) => r.querySelector("a").textContent === "standup").querySelector(".number").textContent === "4"`)
	if n := f.listeners(); n != 1 {
		t.Errorf("%d feeds are open", n)
	}
}

func TestRoomView(t *testing.T) {
	f := newFake(t, differ)
	b := open(t, f.URL+"/#/rooms/standup", 1280)
	b.Await(`seen("3 differences") && seen("Differs: metadata") && seen("Only in Redis") && seen("Only in LiveKit")`)
	b.Eval(`all("summary").find((s) => s.textContent === "ada").click()`)
	b.Await(`seen("metadata: Redis has (empty), LiveKit has {\"role\":\"host\"}")`)
	f.with(func() { delete(f.livekit, "standup") })
	b.Press("Ask LiveKit again")
	b.Await(`seen("no difference") && !seen("Only in") && document.activeElement === button("Ask LiveKit again")`)
	f.with(func() { f.failing["/api/rooms/livekit"] = 503 })
	b.Expect("503")
	b.Press("Ask LiveKit again")
	b.Await(`seen("LiveKit: The rooms cannot be read now")`)
	f.with(func() { f.failing["/api/rooms/timeline"] = 503 })
	f.change("participant_joined", "standup", "barbara")
	b.Await(`["cannot be read now", "missed leave"].every((text) => panel("Timeline").innerText.includes(text))`)
	f.with(func() {
		delete(f.failing, "/api/rooms/timeline")
		delete(f.rooms, "standup")
	})
	b.Expect("404")
	b.Reload()
	b.Await(`seen("This room is not live now.") && seen("missed leave")`)
}

// TestRoomKeepsAgreeing: who comes or goes is no difference, not for a moment, and costs LiveKit about a look a second.
func TestRoomKeepsAgreeing(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms/standup", 1280)
	b.Await(agrees + ` && live()`)
	b.Eval(`(() => { window.alarms = 0; const roster = document.querySelector(".roster");
		new MutationObserver(() => { window.alarms += roster.dataset.different === "yes"; }).observe(roster, { attributes: true }); })()`)
	begun := time.Now()
	f.change("participant_joined", "standup", "hedy")
	b.Await(`seen("4 participants") && all("tbody tr").length === 4 && ` + agrees)
	f.change("participant_left", "standup", "ada")
	b.Await(`seen("3 participants") && all("tbody tr").length === 3 && ` + agrees)
	for i := range 10 {
		f.change("participant_joined", "standup", fmt.Sprint("guest-", i))
		b.Await(`seen(a)`, fmt.Sprintf("%d participants", 4+i))
	}
	b.Await(`all("tbody tr").length === 13 && ` + agrees)
	if alarms := browsertest.Eval[int](b, "window.alarms"); alarms > 0 {
		t.Errorf("%d differences were shown where there was none", alarms)
	}
	looks := 0
	f.with(func() {
		for _, uri := range f.seen {
			if strings.HasPrefix(uri, "/api/rooms/livekit?") {
				looks++
			}
		}
	})
	if most := 2 + int(time.Since(begun).Seconds()); looks > most {
		t.Errorf("LiveKit was asked %d times, want %d at most", looks, most)
	}
}

// TestHostileNames: what strangers call their rooms stays text, in one piece, and can be opened.
func TestHostileNames(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms", 1280)
	const shownAs = `\0"><img src=x onerror=alert(1)>\n[U+202E]gnp.exe '{}'·`
	b.Await(`all(".room-row a").some((x) => x.textContent === a)`, shownAs)
	b.Eval(`all(".room-row a").find((x) => x.textContent === a).click()`, shownAs)
	b.Await(`document.querySelector(".room h1").textContent === a && seen("eve[U+200B]") && seen("1 participant")`, shownAs)
	if n := browsertest.Eval[int](b, `document.querySelectorAll("img").length`); n != 0 {
		t.Error("a name became markup")
	}
	if got := browsertest.Eval[string](b, `document.querySelector(".room h1 bdi").tagName + document.title`); got != "BDI"+shownAs+" · rollcall" {
		t.Errorf("shown as %q", got)
	}
	b.Reload()
	b.Await(`document.querySelector(".room h1").textContent === a`, shownAs)
}

func TestCharts(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(`all("figure").length === 3 && all("figure svg").every((s) => /now;/.test(s.ariaLabel))`)
	b.Eval(`document.querySelector("figure summary").click()`)
	b.Await(`all("figure tbody tr").length === 180`)
}
