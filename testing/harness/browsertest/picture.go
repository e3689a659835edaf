package browsertest

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Snap writes a picture of the whole page into the directory that SCREENSHOTS names, or else into one that is removed with the
// test.
func (b *Tab) Snap(name string) {
	b.t.Helper()
	b.picture(name, chromedp.FullScreenshot(100))
}

// SnapWindow is Snap for the part that is visible without scrolling.
func (b *Tab) SnapWindow(name string) {
	b.t.Helper()
	b.picture(name, chromedp.CaptureScreenshot())
}

func (b *Tab) picture(name string, take chromedp.Action[[]byte]) {
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
	picture, err := chromedp.Run(ctx, take)
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

// Resize makes the tab that many pixels wide.
func (b *Tab) Resize(width int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, 900))
}

// Prefer sets one preference of the reader and clears all others, except that it reduces motion: a colour in transition is
// neither the old nor the new one.
func (b *Tab) Prefer(name, value string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: name, Value: value}}})
	if err != nil {
		b.t.Fatal(err)
	}
}
