package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is for what takes a moment on an idle machine; the tests' machine is never idle.
const patience = 20 * time.Second

// chromium is the browser that all tests share; each gets a context of its own in it, with its own storage.
type chromium struct {
	once sync.Once
	ctx  context.Context
	end  context.CancelFunc
	err  error
}

var shared chromium

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.end != nil {
		shared.end()
	}
	os.Exit(code)
}

func (c *chromium) start() {
	path := os.Getenv("CHROMIUM")
	if path == "" {
		if path, c.err = exec.LookPath("chromium"); c.err != nil {
			c.err = fmt.Errorf("the tests need chromium (make deps installs it): %w", c.err)
			return
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("force-color-profile", "srgb"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	c.end = func() { end(); endAllocator() }
	c.ctx, c.err = ctx, chromedp.Do(ctx)
}

// tab is a page in the browser that notes everything it complains about.
type tab struct {
	t   *testing.T
	ctx context.Context
	cut atomic.Int64 // requests that a change of networks ended

	mu       sync.Mutex
	problems []string
	expected []string // parts of complaints that the test brings about
}

// open shows url at a width of so many pixels.
func open(t *testing.T, url string, width int64, expected ...string) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real browser")
	}
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	b := &tab{t: t, expected: expected}
	ctx, end := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the browser complains: %s", p)
		}
	})
	// The first run makes the tab, which lives as long as that run's context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// Several tabs are open at once; each is to be drawn as if somebody looked at it.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, 900))
	b.load(chromedp.Navigate(url))
	return b
}

// load brings a page in. Chromium cuts what it is loading when the machine gets or loses a network, which containers and
// other tests bring about at any time; then it is loaded again.
func (b *tab) load(how chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	before := b.cut.Load()
	for b.do(how); b.cut.Load() != before; b.do(chromedp.Reload()) {
		before = b.cut.Load()
	}
}

func (b *tab) reload() {
	b.t.Helper()
	b.load(chromedp.Reload())
}

// hear collects errors and warnings of the console, of scripts and of the browser itself: a breach of the policy is one.
func (b *tab) hear(event any) {
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

func (b *tab) complain(text string) {
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

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates JavaScript, waits for a promise, and gives the value. finder is at hand in it.
func eval[T any](b *tab, script string, args ...any) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](finder+call(script, args), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// call makes the script a function of its arguments, a, b, c, as JSON.
func call(script string, args []any) string {
	var list []string
	for _, arg := range args {
		text, _ := json.Marshal(arg)
		list = append(list, string(text))
	}
	return fmt.Sprintf("(async (a, b, c) => { return (%s); })(%s)", script, strings.Join(list, ", "))
}

// await waits until the script is true. A script that fails is not true yet.
func (b *tab) await(script string, args ...any) {
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
			b.snap("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
			b.t.Fatalf("waited in vain for %s %v (%v); the page says:\n%s", script, args, err, eval[string](b, "document.body.innerText.slice(0, 3000)"))
		case <-tick.C:
		}
	}
}

// finder finds what people see, by what it says: button("Sync now"), panel("Cluster").
const finder = `var shown = (e) => e.checkVisibility({ visibilityProperty: true });
var all = (selector, root = document) => [...root.querySelectorAll(selector)].filter(shown);
var says = (e) => (e.getAttribute("aria-label") ?? e.textContent).trim();
var button = (text, root = document) => all("button", root).find((e) => says(e) === text || e.textContent.trim() === text);
var panel = (title) => all("section").find((e) => e.querySelector("h2").textContent === title);
var live = () => document.querySelector(".connection-text").textContent === "Live";
var seen = (text, root = document.body) => root.innerText.replace(/\s*\n\s*/g, "\n").includes(text);
`

// press clicks a button by its text, the way people do: at its place on the screen. When the page moved it away in that
// moment, as pages do while they load, it looks again.
func (b *tab) press(text string) {
	b.t.Helper()
	for range 10 {
		b.await("button(a) && !button(a).disabled", text)
		place := eval[struct{ X, Y float64 }](b, `(() => {
			const e = button(a);
			if (!e || e.disabled) return { X: -1, Y: -1 };
			e.scrollIntoView({ block: "center" });
			window.pressed = false; e.addEventListener("click", () => { window.pressed = true; }, { once: true, capture: true });
			const r = e.getBoundingClientRect(); return { X: r.x + r.width / 2, Y: r.y + r.height / 2 }; })()`, text)
		if place.X < 0 {
			continue
		}
		b.do(chromedp.MouseClickXY(place.X, place.Y))
		if eval[bool](b, "window.pressed") {
			return
		}
	}
	b.t.Fatalf("the button %q cannot be hit", text)
}

func (b *tab) eval(script string, args ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[chromedp.Void](finder+call(script, args), chromedp.EvalAwaitPromise)(ctx, t)
		return err
	})); err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
}

// expect allows complaints that hold part from now on.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}
