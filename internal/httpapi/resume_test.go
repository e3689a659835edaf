package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestAModeratorComesBack checks that, from each id that a stream of one room has sent, another stream continues with what
// followed, each change once, although the id reveals nothing about the other rooms' changes in the same millisecond.
func TestAModeratorComesBack(t *testing.T) {
	streaming(t, Limits{}, func(t *testing.T, r *rig, client *http.Client) {
		mine := listen(t, client, "?room=mine", "Authorization", "Bearer moderator")
		begin := idOf(mine.next())
		var versions, ids []string
		note := func(block string) {
			_, version, _ := strings.Cut(block, `"version":`)
			version, _, _ = strings.Cut(version, ",")
			versions, ids = append(versions, version), append(ids, idOf(block))
		}
		for i := range 20 {
			room := "mine"
			if i%4 == 1 {
				room = "other"
			}
			r.node.wire.emit(room, "null")
			if synctest.Wait(); room == "mine" {
				note(mine.next())
			}
		}
		mine.cancel()
		for i, id := range append([]string{begin}, ids...) {
			back := listen(t, client, "?room=mine", "Authorization", "Bearer moderator", "Last-Event-ID", id)
			back.wants(resumed)
			var got []string
			for range versions[i:] {
				_, version, _ := strings.Cut(back.next(), `"version":`)
				version, _, _ = strings.Cut(version, ",")
				got = append(got, version)
			}
			if !slices.Equal(got, versions[i:]) {
				t.Errorf("behind %s came the versions %q, want %q", id, got, versions[i:])
			}
			back.cancel()
			synctest.Wait()
		}
	})
}

func idOf(block string) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(block, "id: "), "\n")
	return line
}

// TestWaitingEventsAreBounded checks that what waits for watchers who do not read is limited in bytes, that each event is
// counted once, and that the watcher with the most waiting bytes is cut off.
func TestWaitingEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 100_000
		h := newHub(&deafWire{}, limit, slog.New(slog.DiscardHandler))
		join := func(room string) (*watcher, *bool) {
			cut := new(bool)
			w, err := h.join(context.Background(), room, func() { *cut = true })
			if err != nil {
				t.Fatal(err)
			}
			return w, cut
		}
		large, largeCut := join("large")
		small, smallCut := join("small")
		twin, _ := join("small")
		send := func(room string, size, times int) {
			for i := range times {
				f := frameOf(reconcile.FeedEntry{ID: fmt.Sprintf("1-%d", i), Room: room, Data: []byte(`"` + strings.Repeat("x", size) + `"`)})
				h.pass(context.Background(), f)
			}
		}
		send("small", 5_000, 9) // as much as may wait for one watcher, for two
		if h.waiting > limit/2 {
			t.Errorf("%d bytes wait: events that wait for several were counted more than once", h.waiting)
		}
		send("large", 60_000, 1)
		if h.waiting > limit || !*largeCut || *smallCut {
			t.Errorf("%d bytes wait of %d; the one with most was cut off: %v, another one: %v", h.waiting, limit, *largeCut, *smallCut)
		}
		for _, w := range []*watcher{large, small, twin} {
			h.leave(w)
		}
		if h.waiting != 0 {
			t.Errorf("%d bytes are still counted", h.waiting)
		}
		h.close()
		time.Sleep(time.Second)
		h.readers.Wait()
	})
}
