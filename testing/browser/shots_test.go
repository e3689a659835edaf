package browser

import (
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/browsertest"
)

// views are the places of the page and what is there once it is loaded.
func views() map[string][2]string {
	return map[string][2]string{
		"overview": {"#/", `seen("10.0.0.3") && panel("The last half hour").querySelectorAll("path.line[d]").length === 2 && seen("All present.")`},
		"rooms":    {"#/rooms", `all(".room-row").length > 10`},
		"room":     {"#/rooms/standup", `seen("missed leave") && seen("Only in Redis") && seen("Only in LiveKit")`},
		"drift":    {"#/drift", `seen("missed join") && seen("edsger")`},
	}
}

// differ lets LiveKit say something else of a room than Redis.
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

// TestPicturesOfTheReadme makes docs/page.png and docs/page-dark.png, when `make pictures` runs it.
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
