package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// TestLive lets people come and go while the page is open: in the overview, the list and the room.
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

// TestReconnect checks that changes during a disconnection are not missed, without any action by the user.
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
	b.Await(`seen("LiveKit: Redis cannot be read now")`)
	f.with(func() { f.failing["/api/rooms/timeline"] = 503 })
	f.change("participant_joined", "standup", "barbara")
	b.Await(`["Redis cannot be read now", "missed leave"].every((text) => panel("Timeline").innerText.includes(text))`)
	f.with(func() {
		delete(f.failing, "/api/rooms/timeline")
		delete(f.rooms, "standup")
	})
	b.Expect("404")
	b.Reload()
	b.Await(`seen("This room is not live now.") && seen("missed leave")`)
}

// TestRoomKeepsAgreeing checks that joins and leaves never show as a difference, not even for a moment, and cost LiveKit about
// one look a second.
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

// TestHostileNames checks that whatever strangers call their rooms stays text, in one piece, and can be opened.
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

// TestTimelineUnfolds checks that a long timeline begins with its last 20 entries, and that its ids are shown on demand.
func TestTimelineUnfolds(t *testing.T) {
	f := newFake(t, func(f *fake) {
		for i := range 57 {
			f.lines["standup"] = append(f.lines["standup"], line("participant_joined", fmt.Sprint("guest-", i), time.Duration(60+i)*time.Minute, "webhook", "", 1000-i))
		}
	})
	b := open(t, f.URL+"/#/rooms/standup", 1280)
	entries := `panel("Timeline").querySelectorAll("li").length === a`
	b.Await(entries+` && button("Show all 63") && !seen("EV_8kQ2") && !seen("version 8 ·")`, 20)
	b.Press("Show ids")
	b.Await(`seen("event EV_8kQ2 · version 8 · by n2 · epoch 12 · PA_grace") && button("Show ids").ariaPressed === "true"`)
	b.Press("Show all 63")
	b.Await(entries+` && seen("guest-56 joined") && button("Show the last 20").ariaExpanded === "true"`, 63)
	f.change("participant_joined", "standup", "hedy")
	b.Await(entries+` && seen("hedy joined")`, 64)
	b.Press("Show the last 20")
	b.Await(entries+` && seen("hedy joined") && !seen("guest-56")`, 20)
	b.Press("Show ids")
	b.Await(`!seen("EV_8kQ2") && document.activeElement === button("Show ids")`)
	inspect(t, b, "a long timeline")
	b.Snap("timeline-desktop-light")
	b.Press("Show all 64")
	b.Eval(`location.hash = "#/rooms/retro"`)
	b.Await(`seen("Nothing is recorded about this room.") && !button("Show ids")`)
	b.Eval(`location.hash = "#/rooms/standup"`)
	b.Await(entries, 20)
}

// TestOccupancy checks the first sentence: how many people are in how many rooms, also while they come and go, and only if all nodes
// have said.
func TestOccupancy(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b := open(t, f.URL, 1280)
	headline := `document.querySelector(".headline h1").textContent === a`
	b.Await(headline+` && live() && panel("Cluster").querySelector("tfoot .number").textContent === "19"`, "All present. 57 people in 19 rooms.")
	b.Await(`panel("The last half hour").innerText.includes("People, in the whole cluster")`)
	f.with(func() { f.cluster["members"].([]object)[0]["occupancy"] = object{"rooms": 7, "people": 22} })
	b.Eval(`(() => { const real = Date.now; const at = real(); Date.now = () => at; window.goOn = () => { Date.now = real; }; })()`) // no poll is due
	f.change("participant_joined", "standup", "hedy")
	b.Await(headline, "All present. 58 people in 19 rooms.")
	b.Eval("window.goOn()")
	f.with(func() { f.status["syncServiceRunning"] = false })
	b.Await(headline+` && seen("58 people in 19 rooms.")`, "One thing needs you.")
	f.with(func() {
		f.status["syncServiceRunning"] = true
		delete(f.cluster["members"].([]object)[0], "occupancy")
	})
	b.Await(headline, "All present.")
	b.Eval(`location.hash = "#/rooms"`)
	b.Await(`/^\d+ people in 19 rooms$/.test(document.querySelector(".rooms-status .note").textContent)`)
}

func TestCharts(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(`all("figure").length === 4 && all("figure svg").every((s) => /latest; median .*, max /.test(s.ariaLabel)) && all("figure .below").every((e) => /^latest; median [\d.]+( ms)?, max [\d.]+( ms)?(; \d+ in all)?$/.test(e.textContent))`)
	b.Eval(`document.querySelector("figure summary").click()`)
	b.Await(`all("figure tbody tr").length === 180`)
}
