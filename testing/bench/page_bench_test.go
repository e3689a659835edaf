package bench

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// BenchmarkJoinToPage reports the time from a participant's join in LiveKit until the open page shows it: the webhook, the
// commit, the event and the drawing, in each view that lists rooms or participants. LiveKit is the fake, everything else is real.
func BenchmarkJoinToPage(b *testing.B) {
	store, addr := redistest.Start(b), freeAddr(b)
	fake := fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{"http://" + addr + "/api/livekit-webhook"}})
	b.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	b.Cleanup(server.Close)
	url := startNode(b, addr, server.URL, store.URL())
	fake.Join("bench", fakelivekit.Who{Identity: "resident"})
	var browser browsertest.Browser
	b.Cleanup(browser.End)
	for _, view := range []struct {
		name, hash string
		room       func(who string) string
	}{
		{"overview", "#/", func(string) string { return "bench" }},
		{"rooms", "#/rooms", func(who string) string { return "room-of-" + who }}, // a new row
		{"room", "#/rooms/bench", func(string) string { return "bench" }},
	} {
		b.Run(view.name, func(b *testing.B) {
			tab := browser.Open(b, url+"/"+view.hash, 1280)
			tab.Await(`live() && seen("bench", document.querySelector("main")) || seen("Nothing has changed")`)
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				who := fmt.Sprintf("%s-%d", view.name, i)
				room := view.room(who)
				tab.Eval(appearance, who)
				start := time.Now()
				fake.Join(room, fakelivekit.Who{Identity: who})
				shown := time.UnixMilli(browsertest.Eval[int64](tab, "window.appeared"))
				took = append(took, max(shown.Sub(start), 0)) // the browser's clock counts whole ms
				fake.Leave(room, who)
				fake.DeleteRoom("room-of-" + who)
			}
			percentiles(b, "shown", took)
		})
	}
}

// appearance sets window.appeared to the Unix time in ms at which the page's content first contains a text.
const appearance = `(() => {
	const main = document.querySelector("main");
	window.appeared = new Promise((resolve) => {
		const observer = new MutationObserver(() => {
			if (!main.textContent.includes(a)) return;
			observer.disconnect();
			resolve(Date.now());
		});
		observer.observe(main, { subtree: true, childList: true, characterData: true });
	}); })()`
