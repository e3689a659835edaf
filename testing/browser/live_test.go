package browser

import "testing"

// TestLive: people come and go while the page is open, in the overview, the list and the room.
func TestLive(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.await(loaded + ` && live()`)
	f.change("participant_joined", "standup", "hedy")
	b.await(`panel("Changes").innerText.includes("hedy joined standup")`)
	b.press("Pause")
	f.change("participant_left", "standup", "hedy")
	b.await(`seen("Go on (1)") && !seen("hedy left")`)
	b.press("Go on; 1 change waiting")
	b.await(`seen("hedy left standup")`)

	b.eval(`location.hash = "#/rooms"`)
	people := `all(".room-row").find((r) => r.querySelector("a").textContent === "standup").querySelector(".number").textContent === a`
	b.await(people, "3")
	f.change("participant_joined", "standup", "hedy")
	b.await(people, "4")

	b.eval(`location.hash = "#/rooms/standup"`)
	b.await(`seen("4 participants")`)
	f.change("participant_joined", "standup", "barbara")
	b.await(`seen("5 participants") && seen("barbara joined") && panel("Redis and LiveKit").innerText.includes("barbara")`)
}

// TestReconnect: what happened meanwhile is not missed, and nobody has to do anything.
func TestReconnect(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms", 1280)
	b.await(`all(".room-row").length === 19 && live()`)
	f.hangUp()
	f.change("participant_joined", "standup", "hedy")
	b.await(`live() && all(".room-row").find((r) => r.querySelector("a").textContent === "standup").querySelector(".number").textContent === "4"`)
	if n := f.listeners(); n != 1 {
		t.Errorf("%d feeds are open", n)
	}
}

func TestRoomView(t *testing.T) {
	f := newFake(t, differ)
	b := open(t, f.URL+"/#/rooms/standup", 1280)
	b.await(`seen("3 differences") && seen("Differs: metadata") && seen("Only in Redis") && seen("Only in LiveKit")`)
	b.eval(`all("summary").find((s) => s.textContent === "ada").click()`)
	b.await(`seen("metadata: Redis has (empty), LiveKit has {\"role\":\"host\"}")`)
	f.with(func() { delete(f.livekit, "standup") })
	b.press("Ask LiveKit again")
	b.await(`seen("no difference") && !seen("Only in")`)
	f.with(func() { f.failing["/api/rooms/livekit"] = 503 })
	b.expect("503")
	b.press("Ask LiveKit again")
	b.await(`seen("LiveKit: The rooms cannot be read now")`)
	f.with(func() { delete(f.rooms, "standup") })
	b.expect("404")
	b.reload()
	b.await(`seen("This room is not live now.") && seen("missed leave")`)
}

// TestHostileNames: what strangers call their rooms stays text, in one piece, and can be opened.
func TestHostileNames(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms", 1280)
	const shownAs = `\0"><img src=x onerror=alert(1)>\n[U+202E]gnp.exe '{}'·`
	b.await(`all(".room-row a").some((x) => x.textContent === a)`, shownAs)
	b.eval(`all(".room-row a").find((x) => x.textContent === a).click()`, shownAs)
	b.await(`document.querySelector(".room h1").textContent === a && seen("eve[U+200B]") && seen("1 participant")`, shownAs)
	if n := eval[int](b, `document.querySelectorAll("img").length`); n != 0 {
		t.Error("a name became markup")
	}
	if got := eval[string](b, `document.querySelector(".room h1 bdi").tagName + document.title`); got != "BDI"+shownAs+" · rollcall" {
		t.Errorf("shown as %q", got)
	}
	b.reload()
	b.await(`document.querySelector(".room h1").textContent === a`, shownAs)
}

func TestCharts(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.await(`all("figure").length === 3 && all("figure svg").every((s) => /now;/.test(s.ariaLabel))`)
	b.eval(`document.querySelector("figure summary").click()`)
	b.await(`all("figure tbody tr").length === 180`)
}
