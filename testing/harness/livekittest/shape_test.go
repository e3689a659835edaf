package livekittest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// shape is the set of a body's fields with their JSON types, such as "room.sid string".
type shape map[string]bool

// testShapes compares deliveries with the captured ones of the same event. Every field that all captured deliveries have must be
// there, and no field that none of them has.
func testShapes(t *testing.T, deliveries []fakelivekit.Delivery) {
	always, ever := captured(t)
	for _, d := range deliveries {
		if d.Err != nil {
			t.Errorf("a webhook that LiveKit's verification refuses: %v", d.Err)
			continue
		}
		event := d.Event.Event
		got := shapeOf(t, d.Body)
		for field := range always[event] {
			if !got[field] && !optional(field) {
				t.Errorf("%s lacks %s", event, field)
			}
		}
		for field := range got {
			if !ever[event][field] && !ever[sibling(event)][field] && !optional(field) {
				t.Errorf("%s has %s, which no captured one has", event, field)
			}
		}
	}
}

// TestFakeAbort checks what would take a minute and a broken network with a real server.
func TestFakeAbort(t *testing.T) {
	t.Parallel()
	tg, hook := newTarget(t)
	fake := fakelivekit.New(fakelivekit.Options{URLs: []string{hook}})
	t.Cleanup(fake.Close)
	fake.CreateRoom(&livekit.CreateRoomRequest{Name: "abort", Metadata: "m"})
	fake.Connect("abort", who{Identity: "ghost", Name: "Ghost"})
	fake.Abort("abort", "ghost")
	got := tg.await(t, "abort", "participant_connection_aborted", 1)
	wantNames(t, got, "room_started", "participant_connection_aborted")
	testShapes(t, got)
}

// sibling returns an event with the same fields, of which more were captured.
func sibling(event string) string {
	return strings.NewReplacer("room_finished", "room_started", "participant_left", "participant_joined", "unpublished", "published").Replace(event)
}

// optional reports whether LiveKit sends the field only where someone has set it.
func optional(field string) bool {
	return field == "room.maxParticipants number" || field == "participant.name string"
}

func captured(t *testing.T) (always, ever map[string]shape) {
	always, ever = map[string]shape{}, map[string]shape{}
	for _, folder := range fixtures.Load(t) {
		for _, d := range folder.Deliveries {
			got := shapeOf(t, d.Body)
			if always[d.Event] == nil {
				always[d.Event], ever[d.Event] = shapeOf(t, d.Body), shape{}
			}
			for field := range always[d.Event] {
				if !got[field] {
					delete(always[d.Event], field)
				}
			}
			for field := range got {
				ever[d.Event][field] = true
			}
		}
	}
	return always, ever
}

func shapeOf(t *testing.T, body []byte) shape {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	s := shape{}
	s.walk("", v)
	return s
}

func (s shape) walk(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if path == "participant.attributes" {
				key = "*"
			}
			s.walk(strings.TrimPrefix(path+"."+key, "."), value)
		}
	case []any:
		for _, value := range v {
			s.walk(path+"[]", value)
		}
	case float64:
		s[path+" number"] = true
	default:
		s[fmt.Sprintf("%s %T", path, v)] = true
	}
}
