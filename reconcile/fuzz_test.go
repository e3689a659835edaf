package reconcile

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// FuzzDecodeState decodes values of rooms:states:{room}. A value that can be decoded is in the order of joins, and stays the same state
// when it is encoded and decoded again.
func FuzzDecodeState(f *testing.F) {
	full := &State{SID: "RM", CreatedAt: 1, LastUpdated: 2, MaxParticipants: 3, Metadata: "<&>", Version: 4, Roster: []*Member{
		NewMember(Participant{Identity: "ada", SID: "PA_1", JoinedAt: 5, Attributes: map[string]string{"k": "v"}}),
		NewMember(Participant{Identity: "alan", SID: "PA_2", JoinedAt: 5, Kind: "AGENT", Hidden: true, Version: 7})}}
	f.Add(full.JSON("room"))
	f.Add((&State{}).JSON(""))
	f.Add([]byte(`{"participants":[{"sid":"b","identity":"b","joinedAt":2},{"sid":"a","identity":"a","joinedAt":1}]}`))
	f.Add([]byte(`{"participants":[{"identity":"nobody"}]}`))
	f.Add([]byte(`{"participants":[{"sid":"PA"}]}`))
	f.Add([]byte(`{"participants":[{"sid":"a","identity":"\ud800"}],"version":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := DecodeState(value)
		if err != nil {
			if s != nil {
				t.Fatalf("%v, and a state: %+v", err, s)
			}
			return
		}
		if people := bytes.Count(value, []byte("{")); len(s.Roster) > people {
			t.Fatalf("%d participants of %d objects", len(s.Roster), people)
		}
		for _, m := range s.Roster {
			if m.SID == "" || m.Identity == "" || m.Kind == "" || m.Attributes == nil {
				t.Fatalf("half a participant: %+v", m)
			}
		}
		if !slices.IsSortedFunc(s.Roster, byJoin) {
			t.Fatalf("not in the order of joins: %s", s.JSON("r"))
		}
		written := s.JSON("r")
		again, err := DecodeState(written)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", written, err)
		}
		if twice := again.JSON("r"); !bytes.Equal(written, twice) {
			t.Fatalf("%s became %s", written, twice)
		}
		var counted []string
		if err := json.Unmarshal(s.Present(Kinds{"STANDARD": true}), &counted); err != nil || len(counted) > len(s.Roster) || counted == nil {
			t.Fatalf("present: %q, %v", counted, err)
		}
	})
}
