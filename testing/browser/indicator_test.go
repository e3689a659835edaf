package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

const appToken = "token-of-the-app"

// app serves the example of docs/examples from a separate origin, under a policy that allows the node and nothing inline. If
// allow is set, the node accepts that origin.
func app(t *testing.T, f *fake, allow bool) string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"indicator.html", "indicator.js"} {
		text, err := os.ReadFile("../../docs/examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files["/"+name] = strings.ReplaceAll(string(text), "http://localhost:8080", f.URL)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+f.URL+"; connect-src "+f.URL+"; require-trusted-types-for 'script'")
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		_, _ = w.Write([]byte(files[r.URL.Path]))
	}))
	t.Cleanup(other.Close)
	if allow {
		f.with(func() { f.origin = other.URL })
	}
	return other.URL + "/indicator.html"
}

const inside = `(() => { const root = document.querySelector("sync-status-indicator").shadowRoot;
	return { root, text: root.querySelector(".text").innerText, button: (t) => [...root.querySelectorAll("button")].find((x) => x.textContent === t) }; })()`

func TestIndicatorInAnotherApp(t *testing.T) {
	f := newFake(t, func(f *fake) { f.token = appToken })
	b := open(t, app(t, f, true), 1280, "401", "favicon")
	b.Await(inside + `.text.includes("A token is needed")`)
	b.Await(`document.querySelector("#log").textContent.includes("status: error")`)
	b.Do(chromedp.Focus(chromedp.CSS("#token")), chromedp.KeyEvent(appToken), chromedp.KeyEvent("\r"))
	b.Await(inside + `.text.includes("Schedule is running") && ` + inside + `.text.includes("19 rooms compared, 0 errors, 0 removed") && !readOut("Last sync", ` + inside + `.root)`)
	for _, c := range []struct{ button, says, action string }{
		{"Sync now", "Sync done: 19 rooms compared, 0 errors, 0 removed", "sync"},
		{"Cleanup", "Cleanup done: 2 removed", "cleanup"},
		{"Stop it", "Schedule is stopped", "stop-service"},
		{"Start", "Schedule is running", "start-service"},
	} {
		if c.button == "Stop it" { // it asks first
			b.Eval(`(() => { ` + inside + `.button("Stop").click(); ` + inside + `.button("Cancel").click(); ` + inside + `.button("Stop").click(); })()`)
			b.Await(inside + `.root.activeElement.textContent === "Cancel" && ` + inside + `.text.includes("Schedule is running") && !` + inside + `.button("Stop").checkVisibility()`)
			b.Snap("indicator-stop")
		}
		b.Await(inside+`.button(a).checkVisibility() && !idle(`+inside+`.button(a))`, c.button)
		b.Eval(`(() => { const button = `+inside+`.button(a); button.focus(); button.click(); })()`, c.button)
		b.Await(inside+".text.includes(a) && document.querySelector('#log').textContent.includes(b + ': done')", c.says, c.action)
		b.Await(inside+`.root.activeElement && readOut(a, `+inside+`.root)`, c.says)
		if got := f.lastAsked(); got != "map[action:"+c.action+"]" {
			t.Errorf("%s asks for %s", c.button, got)
		}
	}
	b.Expect("503")
	f.with(func() { delete(f.status, "leader") })
	b.Await(inside + `.button("Sync now").ariaDisabled === "false"`)
	b.Eval(inside + `.button("Sync now").click()`)
	b.Await(inside + `.root.querySelector("[role=status][data-bad]").textContent.includes("has no leader now")`)
	f.with(func() { f.status["leader"] = "n2" })
	b.Eval(`document.querySelector("#sync").click()`)
	b.Await(`document.querySelector("#log").textContent.includes("running: true\nsynced: 19")`)
	if got := browsertest.Eval[string](b, inside+`.button("Sync now").checkVisibility() + getComputedStyle(document.querySelector("sync-status-indicator")).display`); got != "trueinline-block" {
		t.Errorf("without its style: %s", got)
	}
	b.Snap("indicator")
}

// TestIndicatorAsFrameworksUseIt sets properties before the definition and attributes one by one, and removes and reinserts the
// element.
func TestIndicatorAsFrameworksUseIt(t *testing.T) {
	f := newFake(t, func(f *fake) { f.token = appToken })
	b := open(t, f.URL, 1280, "401")
	b.Await(`seen("This node wants a token")`)
	b.Eval(`(async () => {
		const early = document.createElement("sync-status-indicator");
		early.token = a; early.id = "early";
		document.body.append(early);
		await import("/sync-status-indicator.js"); })()`, appToken)
	text := `document.querySelector("#early").shadowRoot.querySelector(".text").innerText`
	b.Await(text + `.includes("Schedule is running") && document.querySelector("#early").status.node === "n1"`)
	b.Eval(`(() => { const e = document.querySelector("#early"); e.remove(); e.readonly = true; document.body.append(e); })()`)
	b.Await(text + `.includes("Schedule is running") && !document.querySelector("#early").shadowRoot.querySelector(".buttons").checkVisibility()`)
	f.with(func() { f.status["syncServiceRunning"] = false })
	b.Eval(`document.querySelector("#early").refresh()`)
	b.Await(text + `.includes("Schedule is stopped")`)
	b.Eval(`(() => { const e = document.querySelector("#early"); e.token = "wrong"; })()`)
	buttons := `document.querySelector("#early").shadowRoot.querySelector(".buttons").checkVisibility()`
	b.Await(text + `.includes("The token is not accepted") && !` + buttons)
	b.Eval(`(() => { const e = document.querySelector("#early"); e.readonly = false; e.token = a; })()`, appToken)
	b.Await(buttons)
	f.with(func() { f.status["mayAct"] = false })
	b.Eval(`document.querySelector("#early").refresh()`)
	b.Await(text + `.includes("Schedule is stopped") && !` + buttons)
	f.with(func() { f.status["mayAct"] = true })
	b.Eval(`document.querySelector("#early").refresh()`)
	b.Await(buttons)
	f.with(func() {
		f.failing["/api/sync-rooms"], f.says[403] = 403, "The token does not allow this: it needs roomList"
	})
	b.Expect("403")
	b.Eval(`document.querySelector("#early").refresh()`)
	b.Await(text + `.includes("The token does not allow this: it needs roomList") && !` + buttons)
}

func TestUnknownOriginIsKeptOut(t *testing.T) {
	f := newFake(t)
	b := open(t, app(t, f, false), 1280, "CORS", "ERR_FAILED", "favicon")
	b.Await(`document.readyState === "complete"`)
	if defined := browsertest.Eval[bool](b, `Boolean(customElements.get("sync-status-indicator"))`); defined {
		t.Error("a foreign page runs our scripts without being allowed to")
	}
}

// TestDocumentedPage tries what docs/page.md says to write: the element in HTML, and the client in a script.
func TestDocumentedPage(t *testing.T) {
	f := newFake(t, func(f *fake) { f.token = appToken })
	html, script := fence(t, "html"), fence(t, "js")
	files := map[string]string{
		"/":           html + `<script type="module" src="/example.js"></script>`,
		"/example.js": `const token = "` + appToken + `";` + "\n" + strings.ReplaceAll(script, "const { synced, errors, cleaned } =", "window.result =") + `window.ended = true;`,
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		text := strings.ReplaceAll(files[r.URL.Path], "https://rollcall.example", f.URL)
		_, _ = w.Write([]byte(strings.ReplaceAll(text, `token="…"`, `token="`+appToken+`"`)))
	}))
	t.Cleanup(other.Close)
	f.with(func() { f.origin = other.URL })
	b := open(t, other.URL, 1280, "favicon")
	b.Await(inside + `.text.includes("Schedule is running")`)
	b.Await(`window.ended && window.result.synced === 19 && window.result.cleaned === 0`)
}

// fence returns the only block of docs/page.md in that language.
func fence(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/page.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```"+language+"\n")
	block, _, ended := strings.Cut(after, "```")
	if !found || !ended || strings.Contains(after[len(block):], "```"+language+"\n") {
		t.Fatalf("docs/page.md has not one block of %s", language)
	}
	return block
}
