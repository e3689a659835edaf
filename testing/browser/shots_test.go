package browser

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// views returns the views of the page and what each contains once it is loaded.
func views() map[string][2]string {
	return map[string][2]string{
		"overview": {"#/", `seen("10.0.0.3") && panel("The last half hour").querySelectorAll("path.line[d]").length === 3 && seen("All present.")`},
		"rooms":    {"#/rooms", `all(".room-row").length > 10`},
		"room":     {"#/rooms/standup", `seen("missed leave") && seen("Only in Redis") && seen("Only in LiveKit")`},
		"drift":    {"#/drift", `seen("missed join") && seen("edsger")`},
	}
}

// differ makes LiveKit report a room differently from Redis.
func differ(f *fake) {
	ada := person("ada", 47*time.Minute)
	ada["joinedAt"] = people(f.rooms["standup"])[0]["joinedAt"]
	ada["metadata"] = `{"role":"host"}`
	ada["version"] = 5
	f.rooms["standup"]["metadata"] = `{"topic":"monday"}`
	f.livekit["standup"] = object{"room": "standup", "listed": true, "sid": "RM_v88X6DURvhxG",
		"participants": []object{ada, people(f.rooms["standup"])[1], person("hedy", 2*time.Minute)}}
}

func TestPictures(t *testing.T) {
	t.Parallel()
	f := newFake(t, differ)
	for _, width := range []int64{1280, 360} {
		b := open(t, f.URL, width)
		for _, theme := range []string{"light", "dark"} {
			b.Prefer("prefers-color-scheme", theme)
			for name, view := range views() {
				b.Eval("location.hash = a", view[0])
				b.Await(view[1])
				if name == "overview" {
					f.change("participant_joined", "retro", "hedy")
					f.change("participant_left", "retro", "hedy")
					b.Await(`seen("hedy left retro")`)
				}
				b.Snap(name + "-" + size(width) + "-" + theme)
				if wide := browsertest.Eval[int](b, "document.documentElement.scrollWidth"); wide > int(width) {
					t.Errorf("%s at %d pixels is %d wide", name, width, wide)
				}
			}
		}
	}
}

// TestPicturesOfTheReadme writes docs/page.png and docs/page-dark.png, when `make pictures` runs it.
func TestPicturesOfTheReadme(t *testing.T) {
	b := open(t, newFake(t).URL, 1280)
	for name, theme := range map[string]string{"page": "light", "page-dark": "dark"} {
		b.Prefer("prefers-color-scheme", theme)
		b.Await(views()["overview"][1] + ` && live()`)
		b.SnapWindow(name)
	}
}

func size(width int64) string {
	if width < 600 {
		return "phone"
	}
	return "desktop"
}

// TestPicturesOfAccess takes the pictures of what a token does not allow, of an unknown address and of the question before a stop,
// and checks that everybody can use them.
func TestPicturesOfAccess(t *testing.T) {
	t.Parallel()
	wrong := newFake(t, func(f *fake) { f.token = "admin-token-of-the-tests" })
	participant := newFake(t, roomToken("The token does not allow this: it needs roomAdmin with the name of this room, or roomList"), func(f *fake) {
		f.failing["/api/rooms"], f.failing["/api/rooms/timeline"], f.failing["/api/rooms/livekit"], f.failing["/api/events"] = 403, 403, 403, 403
	})
	reader := newFake(t, func(f *fake) { f.status["mayAct"] = false })
	operator := newFake(t)
	for _, width := range []int64{1280, 360} {
		for _, theme := range []string{"light", "dark"} {
			for name, state := range map[string][2]string{
				"no-token":          {wrong.URL, `seen("This node wants a token")`},
				"participant-token": {participant.URL + "/#/rooms/standup", `seen("This token may not read this room")`},
				"reader":            {reader.URL, loadedReader},
				"no-such-address":   {operator.URL + "/#/nowhere", `seen("There is no such address")`},
				"stop":              {operator.URL, loaded},
			} {
				b := open(t, state[0], width, "401", "403")
				b.Prefer("prefers-color-scheme", theme)
				b.Await(state[1])
				if name == "stop" {
					b.Press("Stop the schedule")
					b.Await(`document.querySelector("dialog[open]")`)
				}
				inspect(t, b, name+", "+size(width)+", "+theme)
				b.Snap(name + "-" + size(width) + "-" + theme)
				if wide := browsertest.Eval[int](b, "document.documentElement.scrollWidth"); wide > int(width) {
					t.Errorf("%s at %d pixels is %d wide", name, width, wide)
				}
			}
		}
	}
}

const loadedReader = `seen("10.0.0.3") && seen("Schedule running") && !button("Sync now")`
