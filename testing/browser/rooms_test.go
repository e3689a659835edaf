package browser

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

func rows(b *browsertest.Tab) []string {
	return browsertest.Eval[[]string](b, `all(".room-row").sort((x, y) => x.ariaRowIndex - y.ariaRowIndex).map((r) => r.querySelector("a").textContent)`)
}

func TestSearchAndSort(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL+"/#/rooms", 1280)
	b.Await(`seen("19 rooms") && all(".room-row").length === 19 && !readOut("rooms")`)
	b.Do(chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent("CLASS"))
	b.Await(`seen("3 of 19 rooms") && all(".room-row").length === 3 && location.hash === "#/rooms?q=CLASS" && readOut("3 of 19 rooms")`)
	if got := rows(b); !slices.Equal(got, []string{"classroom-12", "classroom-13", "classroom-14"}) {
		t.Errorf("found %q", got)
	}
	b.Press("People")
	b.Await(`document.querySelector("[data-sort=people]").ariaSort === "descending" && location.hash.endsWith("sort=-people")`)
	if got := rows(b); !slices.Equal(got, []string{"classroom-14", "classroom-12", "classroom-13"}) {
		t.Errorf("by people: %q", got)
	}
	b.Press("People")
	b.Await(`document.querySelector("[data-sort=people]").ariaSort === "ascending"`)
	b.Reload()
	b.Await(`seen("3 of 19 rooms") && document.querySelector("input[type=search]").value === "CLASS"`)
	b.Do(chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent("zzz"))
	b.Await(`seen("No room's name contains what you typed")`)
}

// TestRoomsOfAPartOfRedis checks that a list without the rooms of a shard says so.
func TestRoomsOfAPartOfRedis(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) { f.partial = true })
	b := open(t, f.URL+"/#/rooms", 1280)
	b.Await(`seen("19 rooms; part of Redis does not answer, and its rooms are missing")`)
	b.Do(chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent("zzz"))
	b.Await(`seen("The part of Redis that answers holds no such room")`)
}

// TestThousandsOfRooms checks that what is drawn, and the work for an event, do not grow with the number of rooms.
func TestThousandsOfRooms(t *testing.T) {
	work := map[int]float64{}
	for _, n := range []int{50, 5000} {
		f := newFake(t, many(n))
		b := open(t, f.URL+"/#/rooms", 1280)
		b.Await(`all(".room-row").length > 20 && document.querySelector("[role=table]").ariaRowCount === String(a + 1)`, n)
		if drawn := browsertest.Eval[int](b, `document.querySelectorAll("*").length`); drawn > 1500 {
			t.Errorf("%d rooms make %d elements", n, drawn)
		}
		work[n] = scripting(t, b, func() {
			for i := range 40 {
				b.Eval(`document.querySelector(".virtual").scrollTop = a * 37`, i)
				b.Eval(`new Promise(requestAnimationFrame)`)
			}
		})
		if n == 5000 {
			b.Do(chromedp.Focus(chromedp.CSS(".room-row a")), chromedp.KeyEvent(kb.End))
			b.Await(`document.activeElement.textContent === "room-04999"`)
			b.Do(chromedp.KeyEvent(kb.ArrowUp))
			b.Await(`document.activeElement.textContent === "room-04998"`)
			f.change("participant_joined", "room-04998", "ada")
			b.Await(`document.activeElement.textContent === "room-04998" && document.activeElement.closest("[role=row]").querySelector(".number").textContent === "3"`)
			b.Do(chromedp.KeyEvent("\r"))
			b.Await(`location.hash === "#/rooms/room-04998" && seen("3 participants") && document.activeElement.tagName === "H1"`)
		}
	}
	t.Logf("scripting while scrolling: 50 rooms %.1f ms, 5,000 rooms %.1f ms", 1000*work[50], 1000*work[5000])
	// Drawing all rows would be a factor of a hundred. The fixed part excludes the noise of an idle machine.
	if work[5000] > 8*work[50]+0.25 {
		t.Errorf("scrolling costs %.0f ms with 5,000 rooms and %.0f ms with 50", 1000*work[5000], 1000*work[50])
	}
}

func TestLongListGoesToTheNode(t *testing.T) {
	f := newFake(t, many(21_500))
	b := open(t, f.URL+"/#/rooms?q=21499", 1280)
	found := `all(".room-row").length === 1 && seen("room-21499")`
	whole := `seen("20,000 rooms, and there are more") && document.querySelector("input[type=search]").value === ""`
	b.Await(found)
	b.Eval(`all("nav a").find((l) => says(l) === "Rooms").click()`)
	b.Await(whole + ` && button("Read on")`)
	b.Do(chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent("21499"))
	b.Await(found + ` && readOut("1 of 1 room")`)
	b.Do(chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace))
	b.Await(whole)
	b.Press("Read on")
	b.Await(`seen("21,500 rooms") && !seen("there are more") && document.activeElement.tagName === "H1"`)
}
