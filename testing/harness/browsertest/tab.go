package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience limits waits that take a moment on an idle machine. The machine that runs tests is never idle.
const patience = time.Minute

// Tab is a page in the browser that records everything the browser complains about. Its methods fail the test on errors.
type Tab struct {
	t   testing.TB
	ctx context.Context
	cut atomic.Int64 // number of requests that a change of networks aborted

	mu       sync.Mutex
	problems []string
	expected []string // parts of complaints that the test provokes
}

// Context returns chromedp's context, for actions that this type does not offer.
func (b *Tab) Context() context.Context { return b.ctx }

// load loads a page. Chromium aborts requests when the machine gains or loses a network, which containers and other tests cause
// at any time. Then load loads the page again.
func (b *Tab) load(how chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	before := b.cut.Load()
	for b.Do(how); b.cut.Load() != before; b.Do(chromedp.Reload()) {
		before = b.cut.Load()
	}
}

// Reload loads the page again.
func (b *Tab) Reload() {
	b.t.Helper()
	b.load(chromedp.Reload())
}

// hear collects errors and warnings of the console, of scripts and of the browser itself, such as a breach of the policy.
func (b *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complain("exception: " + (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, arg := range e.Args {
				words = append(words, string(arg.Value)+arg.Description)
			}
			b.complain("console: " + strings.Join(words, " "))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			b.complain(fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

func (b *Tab) complain(text string) {
	if strings.Contains(text, "ERR_NETWORK_CHANGED") {
		b.cut.Add(1)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.expected {
		if strings.Contains(text, part) {
			return
		}
	}
	b.problems = append(b.problems, text)
}

// Do runs actions of chromedp.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Paste inserts a text where the focus is, at once. Typing a token takes hundreds of messages, which a busy machine does not handle in time.
func (b *Tab) Paste(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		b.t.Fatal(err)
	}
}

// Eval evaluates JavaScript with a, b and c as its arguments, waits if the value is a promise, and returns the value. The script
// can use the functions of finder.
func Eval[T any](b *Tab, script string, args ...any) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](finder+call(script, args), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// call turns the script into a function of its arguments, a, b, c, passed as JSON.
func call(script string, args []any) string {
	var list []string
	for _, arg := range args {
		text, _ := json.Marshal(arg)
		list = append(list, string(text))
	}
	return fmt.Sprintf("(async (a, b, c) => { return (%s); })(%s)", script, strings.Join(list, ", "))
}

// Await waits until the script is true. A script that fails counts as not true yet.
func (b *Tab) Await(script string, args ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](finder+call(script, args)+".then(Boolean, () => false)", chromedp.EvalAwaitPromise))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			b.Snap("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
			b.t.Fatalf("waited in vain for %s %v (%v); the page says:\n%s", script, args, err, Eval[string](b, "document.body.innerText.slice(0, 3000)"))
		case <-tick.C:
		}
	}
}

// finder defines functions that find what people see by its text: button("Sync now"), panel("Cluster").
const finder = `var shown = (e) => e.checkVisibility({ visibilityProperty: true });
var all = (selector, root = document) => [...root.querySelectorAll(selector)].filter(shown);
var says = (e) => (e.getAttribute("aria-label") ?? e.textContent).trim();
var button = (text, root = document) => all("button", root).find((e) => says(e) === text || e.textContent.trim() === text);
var panel = (title) => all("section").find((e) => e.querySelector("h2").textContent === title);
var live = () => document.querySelector(".connection-text").textContent === "Live";
var idle = (e) => e.disabled || e.getAttribute("aria-disabled") === "true";
var readOut = (text, root = document) => [...root.querySelectorAll("[role=status]")].some((e) => e.textContent.includes(text));
var seen = (text, root = document.body) => root.innerText.replace(/\s*\n\s*/g, "\n").includes(text);
`

// Press clicks a button by its text, as people do: at its position on the screen. If the page moved the button in that moment, as
// pages do while they load, Press looks again.
func (b *Tab) Press(text string) {
	b.t.Helper()
	for range 10 {
		b.Await("button(a) && !idle(button(a))", text)
		place := Eval[struct{ X, Y float64 }](b, `(() => {
			const e = button(a);
			if (!e || idle(e)) return { X: -1, Y: -1 };
			e.scrollIntoView({ block: "center" });
			window.pressed = false; e.addEventListener("click", () => { window.pressed = true; }, { once: true, capture: true });
			const r = e.getBoundingClientRect(); return { X: r.x + r.width / 2, Y: r.y + r.height / 2 }; })()`, text)
		if place.X < 0 {
			continue
		}
		b.Do(chromedp.MouseClickXY(place.X, place.Y))
		if Eval[bool](b, "window.pressed") {
			return
		}
	}
	b.t.Fatalf("the button %q cannot be hit", text)
}

// Eval evaluates JavaScript for its side effects.
func (b *Tab) Eval(script string, args ...any) {
	b.t.Helper()
	Eval[chromedp.Void](b, script, args...)
}

// Expect allows complaints that contain part from now on.
func (b *Tab) Expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}
