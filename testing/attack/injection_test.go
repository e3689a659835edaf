package attack

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestInjection checks hostile names of rooms and participants: a room's keys are the ones derived from its name, readers get the
// name unchanged, and nothing else happens.
func TestInjection(t *testing.T) {
	t.Parallel()
	names := []string{"a:b", "*", "rooms:index", "rooms:*", "{tag}", "{}", "}{", "x{rooms:fence:y}", "'; return redis.call('FLUSHALL') --", "\"]] redis.call('FLUSHALL')", "a b",
		"a\r\nFLUSHALL\r\n", "\r\n$8\r\nFLUSHALL\r\n", "%00", "a\x01\x1b[31m", "\u202eevil", "\u200b", "<script>alert(1)</script>", `"},"x":{"`, `\u0000`, "../../etc/passwd",
		"?a=b&c=d", "#f", "http://evil.example.org/", "__proto__", "constructor", "0", "-1", "null", "true", "日本", "id: 1\nevent: leader\ndata: {}", "data: x\n\nevent: y", "\u2028",
		strings.Repeat("n", 200)}
	for _, tags := range []string{"false", "true"} {
		t.Run("hash tags "+tags, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{flags: []string{"--redis-hash-tags=" + tags}})
			w.redis.Client().Set(t.Context(), "canary", "sings", 0)
			for i, name := range names {
				w.people(name, names[(i+1)%len(names)])
			}
			for i, name := range names {
				w.named(t, name, names[(i+1)%len(names)])
			}
			w.onlyKeysOf(t, names, tags == "true")
			if status, lines := w.first(t, "/api/events", adminToken, "0-0"); status != 200 || len(lines) > 3 {
				t.Errorf("the stream: %d %q", status, lines)
			}
			for line := range strings.Lines(string(w.Output())) {
				if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\u202e") || !strings.HasPrefix(line, "time=") {
					t.Errorf("a name has reached the log as it is: %q", line)
				}
			}
		})
	}
}

// named checks what readers get for a room.
func (w *world) named(t *testing.T, room, identity string) {
	t.Helper()
	a := w.get("/api/rooms?name="+url.QueryEscape(room), moderator(t, room))
	var state struct {
		RoomName     string
		Participants []struct{ Identity string }
	}
	if err := json.Unmarshal([]byte(a.body), &state); err != nil || a.status != 200 || state.RoomName != room || len(state.Participants) != 1 ||
		state.Participants[0].Identity != identity {
		t.Errorf("the room %q: %d %s", room, a.status, a.body)
	}
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the room %q comes as %q", room, kind)
	}
}

// onlyKeysOf checks that Redis has the keys of these rooms, and no others.
func (w *world) onlyKeysOf(t *testing.T, rooms []string, tags bool) {
	t.Helper()
	want := map[string]bool{"canary": true}
	for _, room := range rooms {
		for _, kind := range []string{"participants:", "states:", "fence:", "timeline:"} {
			key := "rooms:" + kind + room
			if tags {
				part := "{" + room + "}"
				if strings.HasPrefix(room, "}") {
					part = "{%7D" + room[1:] + "}"
				} else if strings.HasPrefix(room, "%") {
					part = "{%25" + room[1:] + "}"
				}
				key = "rooms:" + kind + part
			}
			want[key] = true
		}
	}
	got := w.keys(t)
	for key := range got {
		shared := slices.Contains([]string{"rooms:index", "rooms:generation", "rooms:events", "rooms:drift", "rooms:recent"}, key)
		if !want[key] && !shared && !(tags && strings.HasPrefix(key, "rooms:events:{")) {
			t.Errorf("a key of nobody's: %q", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, is := got[key]; !is {
			t.Errorf("no key %q", key)
		}
	}
}
