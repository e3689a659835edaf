package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// snap writes a picture of the whole page into the folder of the pictures.
func (b *tab) snap(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		folder = b.t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if len(picture) < 5000 {
		b.t.Errorf("the picture %s is %d bytes: an empty page", name, len(picture))
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// prefer sets a preference of the reader, and only that one, but for motion: a colour on its way to another is neither.
func (b *tab) prefer(name, value string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: name, Value: value}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

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
			b.prefer("prefers-color-scheme", theme)
			for name, view := range views() {
				b.eval("location.hash = a", view[0])
				b.await(view[1])
				if name == "overview" {
					f.change("participant_joined", "retro", "hedy")
					f.change("participant_left", "retro", "hedy")
					b.await(`seen("hedy left retro")`)
				}
				b.snap(name + "-" + size(width) + "-" + theme)
				if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > int(width) {
					t.Errorf("%s at %d pixels is %d wide", name, width, wide)
				}
			}
		}
	}
}

func size(width int64) string {
	if width < 600 {
		return "phone"
	}
	return "desktop"
}
