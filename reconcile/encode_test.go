package reconcile

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hostile holds strings that LiveKit allows as names, identities and metadata.
var hostile = []string{"", "plain", "a\x00b", "line\r\nfeed", `quo"te\back`, "{tag}", "a:b*c?[d]", "<script>&amp;</script>",
	"\u202eright to left", "\u2028\u2029", "😀 ümlaut", "%7D", strings.Repeat("long ", 2000), "\x7f\x1b[31m"}

func drawString(t *rapid.T, name string) string {
	if rapid.Bool().Draw(t, "hostile "+name) {
		return rapid.SampledFrom(hostile).Draw(t, name)
	}
	return rapid.String().Draw(t, name)
}

func drawState(t *rapid.T) *State {
	s := &State{SID: drawString(t, "room sid"), CreatedAt: rapid.Int64().Draw(t, "created"), LastUpdated: rapid.Int64().Draw(t, "updated"),
		MaxParticipants: rapid.Uint32().Draw(t, "max"), Metadata: drawString(t, "room metadata"), Version: rapid.Uint64().Draw(t, "version")}
	for i := range rapid.IntRange(0, 3).Draw(t, "people") {
		p := Participant{Identity: "i" + drawString(t, "identity"), SID: "p" + drawString(t, "sid"), JoinedAt: int64(i),
			Metadata: drawString(t, "metadata"), Name: drawString(t, "name"), Hidden: rapid.Bool().Draw(t, "hidden"),
			Kind: rapid.SampledFrom([]string{"", "STANDARD", "SIP", "AGENT"}).Draw(t, "kind"), Version: rapid.Uint32().Draw(t, "v")}
		if rapid.Bool().Draw(t, "attributed") {
			p.Attributes = map[string]string{drawString(t, "key"): drawString(t, "value"), drawString(t, "another key"): drawString(t, "its value")}
		}
		s.Roster = append(s.Roster, NewMember(p))
	}
	return s
}

func TestStateSurvivesItsJSON(t *testing.T) {
	checks(t, 500)
	rapid.Check(t, func(t *rapid.T) {
		s, room := drawState(t), drawString(t, "room")
		value := s.JSON(room)
		got, err := DecodeState(value)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Fatalf("decoded %+v\nwant %+v", got, s)
		}
		compareWithEncodingJSON(t, s, room, value)
	})
}

// compareWithEncodingJSON compares the handwritten encoder with encoding/json, on the shape of docs/api.md.
func compareWithEncodingJSON(t *rapid.T, s *State, room string, value []byte) {
	type shape struct {
		RoomName        string        `json:"roomName"`
		SID             string        `json:"sid"`
		IsActive        bool          `json:"isActive"`
		CreatedAt       int64         `json:"createdAt"`
		LastUpdated     int64         `json:"lastUpdated"`
		MaxParticipants uint32        `json:"maxParticipants"`
		Metadata        string        `json:"metadata"`
		Version         uint64        `json:"version"`
		Participants    []Participant `json:"participants"`
	}
	want := shape{RoomName: room, SID: s.SID, IsActive: true, CreatedAt: s.CreatedAt, LastUpdated: s.LastUpdated,
		MaxParticipants: s.MaxParticipants, Metadata: s.Metadata, Version: s.Version, Participants: []Participant{}}
	identities := []string{}
	for _, m := range s.Roster {
		want.Participants = append(want.Participants, m.Participant)
		if !m.Hidden && m.Kind == "STANDARD" {
			identities = append(identities, m.Identity)
		}
	}
	if plain := encode(want); string(plain) != string(value) {
		t.Fatalf("encoded %s\nwant %s", value, plain)
	}
	var present []string
	if err := json.Unmarshal(s.Present(Kinds{"STANDARD": true}), &present); err != nil || !reflect.DeepEqual(present, identities) {
		t.Fatalf("present: %q, want %q (%v)", present, identities, err)
	}
}

func TestDecodeStateRefusesWhatIsNotOurs(t *testing.T) {
	for _, value := range []string{"", "null ", "[]", `"x"`, "{", `{"participants":[{"identity":"x"}]}`, `{"participants":[{"sid":"x"}]}`,
		`{"participants":"x"}`, `{"createdAt":"1"}`} {
		if s, err := DecodeState([]byte(value)); err == nil && value != "null " {
			t.Errorf("%q reads as %+v", value, s)
		}
	}
	s, err := DecodeState([]byte(`{"participants":[{"sid":"2","identity":"b","joinedAt":2},{"sid":"1","identity":"a","joinedAt":1}]}`))
	if err != nil || s.Roster[0].SID != "1" {
		t.Errorf("the roster is not in order of join time: %v, %v", s, err)
	}
}

func TestEmptyRoomHasAnEmptyArray(t *testing.T) {
	s := &State{}
	if got := string(s.Present(Kinds{})); got != "[]" {
		t.Errorf("the participants of an empty room are %s", got)
	}
	if got := string(s.JSON("r")); !strings.HasSuffix(got, `"participants":[]}`) {
		t.Errorf("the state of an empty room is %s", got)
	}
}

func TestMarkupStaysAsItIs(t *testing.T) {
	s := &State{Metadata: "<a&b>", Roster: []*Member{NewMember(Participant{SID: "1", Identity: "<i>"})}}
	if got := string(s.JSON("<r>")); !strings.Contains(got, `"<a&b>"`) || !strings.Contains(got, `"<i>"`) || !strings.Contains(got, `"<r>"`) {
		t.Errorf("the state is %s", got)
	}
}

func TestPresentLeavesOutTheHiddenAndOtherKinds(t *testing.T) {
	s := &State{Roster: []*Member{NewMember(Participant{SID: "1", Identity: "std"}), NewMember(Participant{SID: "2", Identity: "hid", Hidden: true}),
		NewMember(Participant{SID: "3", Identity: "agent", Kind: "AGENT"}), NewMember(Participant{SID: "4", Identity: "sip", Kind: "SIP"})}}
	if got := string(s.Present(Kinds{"STANDARD": true, "SIP": true})); got != `["std","sip"]` {
		t.Errorf("present are %s", got)
	}
	if s.Find("3") == nil || s.Find("9") != nil || (*State)(nil).Find("3") != nil {
		t.Error("Find does not find, or finds too much")
	}
}

func TestMemberSaysWhatItsJSONSays(t *testing.T) {
	checks(t, 500)
	rapid.Check(t, func(t *rapid.T) {
		draw := func() Participant {
			p := drawParticipant(t)
			p.Hidden = rapid.Bool().Draw(t, "hidden")
			p.Kind = rapid.SampledFrom([]string{"", "STANDARD", "SIP"}).Draw(t, "kind")
			p.Attributes = rapid.SampledFrom([]map[string]string{nil, {}, {"k": "v"}}).Draw(t, "attributes")
			p.Name = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
			return p
		}
		p, o := draw(), draw()
		m := NewMember(p)
		if m.says(&o) != m.Equal(NewMember(o)) {
			t.Fatalf("%s says %+v: %v", m.JSON(), o, m.says(&o))
		}
	})
}

func TestTextIsEncodedAsJSON(t *testing.T) {
	for c := range 300 {
		for _, text := range []string{string(rune(c)), "a" + string(rune(c)) + "b", string([]byte{byte(c)}), "\u2028", ""} {
			if got, want := string(appendText([]byte{'['}, text)), "["+string(encode(text)); got != want {
				t.Errorf("%q: %s, want %s", text, got, want)
			}
		}
	}
}
