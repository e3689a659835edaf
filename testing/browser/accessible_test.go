package browser

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// audit is a script that lists problems for people who use the page otherwise than by eye and mouse.
//
//go:embed audit.js
var audit string

func inspect(t *testing.T, b *browsertest.Tab, where string) {
	t.Helper()
	for _, wrong := range browsertest.Eval[[]string](b, "("+audit+")()") {
		t.Errorf("%s: %s", where, wrong)
	}
}

func TestAccessible(t *testing.T) {
	f := newFake(t, differ, func(f *fake) {
		f.status["lastSync"].(object)["held"] = object{"rooms": 25, "participants": 40, "cycles": 1}
		f.status["syncServiceRunning"] = false
		f.cluster["members"].([]object)[2]["state"] = "away"
	})
	for _, width := range []int64{1280, 360} {
		b := open(t, f.URL, width)
		for _, theme := range []string{"light", "dark"} {
			b.Prefer("prefers-color-scheme", theme)
			for name, view := range views() {
				b.Eval("location.hash = a", view[0])
				b.Await(strings.Replace(view[1], "All present.", " things need you.", 1))
				if name == "overview" {
					b.Press("Dry run")
					b.Await(`seen("ada would leave") && !idle(button("Cleanup"))`)
				}
				inspect(t, b, name+", "+size(width)+", "+theme)
			}
		}
		b.Press("Token: none; enter")
		b.Await(`document.querySelector("dialog[open]")`)
		inspect(t, b, "the token's dialog, "+size(width))
	}
}

// TestAuditFinds checks that the audit can fail.
func TestAuditFinds(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded)
	b.Eval(`(() => {
		const bad = document.createElement("div");
		bad.id = "main"; bad.tabIndex = 5;
		const unnamed = document.createElement("button");
		const faint = document.createElement("p"); faint.textContent = "faint"; faint.style.color = "rgb(200 200 200)";
		const input = document.createElement("input"); input.placeholder = "no label";
		bad.append(unnamed, faint, input, document.createElement("h4"), document.createElement("main"));
		document.querySelector(".overview").append(bad); })()`)
	found := strings.Join(browsertest.Eval[[]string](b, "("+audit+")()"), "\n")
	for _, want := range []string{"id main is there twice", "a positive tabindex", "button without a name", "contrast", "input without a name", "h4 follows h2", "2 main landmarks"} {
		if !strings.Contains(found, want) {
			t.Errorf("the audit does not find: %s\n%s", want, found)
		}
	}
}

// TestKeyboard goes through the page with the Tab key alone, in reading order. The focus must always be visible.
func TestKeyboard(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded + ` && live()`)
	var stops []string
	for range 15 {
		b.Do(chromedp.KeyEvent(kb.Tab))
		stop := browsertest.Eval[[2]string](b, `(() => { const e = document.activeElement, s = getComputedStyle(e);
			return [says(e), s.outlineStyle + " " + s.outlineWidth]; })()`)
		if stop[1] != "solid 2px" && stop[1] != "solid 2.0px" {
			t.Errorf("the focus on %q shows as %s", stop[0], stop[1])
		}
		stops = append(stops, stop[0])
	}
	want := "Skip to the content|rollcall, overview|Overview|Rooms|Drift|Connection: Live, n1|System theme; switch|Token: none; enter|Stop the schedule|Sync now|Dry run|Full sync|Cleanup|Force…|As a table"
	if got := strings.Join(stops, "|"); got != want {
		t.Errorf("the order is\n%s, want\n%s", got, want)
	}
	b.Reload()
	b.Await(loaded)
	b.Do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	b.Await(`document.activeElement.tagName === "MAIN" && location.hash === ""`)
}

// TestReducedMotion checks that nothing moves by itself for people who asked for that.
func TestReducedMotion(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Prefer("prefers-reduced-motion", "reduce")
	b.Await(loaded)
	if moving := browsertest.Eval[[]string](b, `[...document.querySelectorAll("*")].filter((e) => { const s = getComputedStyle(e); return parseFloat(s.transitionDuration) > 0 || s.animationName !== "none"; }).map((e) => e.tagName)`); len(moving) > 0 {
		t.Errorf("these move: %q", moving)
	}
}
