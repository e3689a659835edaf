package reconcile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Member is a participant together with its JSON, which is encoded once and not per write. It is immutable.
type Member struct {
	Participant
	json []byte
}

// NewMember encodes p. Attributes and Kind get their defaults ({} and STANDARD).
func NewMember(p Participant) *Member {
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	if p.Kind == "" {
		p.Kind = "STANDARD"
	}
	return &Member{Participant: p, json: encode(p)}
}

// JSON is the participant as it stands in rooms:states:{room}.
func (m *Member) JSON() []byte { return m.json }

// Equal tells whether both say the same of the participant.
func (m *Member) Equal(o *Member) bool { return bytes.Equal(m.json, o.json) }

// says tells whether m already says of the participant what p does, without encoding p.
func (m *Member) says(p *Participant) bool {
	kind := cmp.Or(p.Kind, "STANDARD")
	return m.SID == p.SID && m.Identity == p.Identity && m.JoinedAt == p.JoinedAt && m.Version == p.Version &&
		m.Metadata == p.Metadata && m.Name == p.Name && m.Kind == kind && m.Hidden == p.Hidden &&
		maps.Equal(m.Attributes, p.Attributes)
}

// JSON is the value of rooms:states:{room}.
func (s *State) JSON(room string) []byte {
	size := 256 + len(room) + len(s.Metadata)
	for _, m := range s.Roster {
		size += len(m.json) + 1
	}
	b := append(make([]byte, 0, size), `{"roomName":`...)
	b = append(b, encode(room)...)
	b = append(b, `,"sid":`...)
	b = append(b, encode(s.SID)...)
	b = append(b, `,"isActive":true,"createdAt":`...)
	b = strconv.AppendInt(b, s.CreatedAt, 10)
	b = append(b, `,"lastUpdated":`...)
	b = strconv.AppendInt(b, s.LastUpdated, 10)
	b = append(b, `,"maxParticipants":`...)
	b = strconv.AppendUint(b, uint64(s.MaxParticipants), 10)
	b = append(b, `,"metadata":`...)
	b = append(b, encode(s.Metadata)...)
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, s.Version, 10)
	b = append(b, `,"participants":[`...)
	for i, m := range s.Roster {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m.json...)
	}
	return append(b, "]}"...)
}

// Present is the value of rooms:participants:{room}: the counted identities by join time.
func (s *State) Present(count Kinds) []byte {
	b := []byte{'['}
	for _, m := range s.Roster {
		if !count.Counts(&m.Participant) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, encode(m.Identity)...)
	}
	return append(b, ']')
}

// Find gives the member with that sid, or nil.
func (s *State) Find(sid string) *Member {
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.Roster, func(m *Member) bool { return m.SID == sid })
	if i < 0 {
		return nil
	}
	return s.Roster[i]
}

// DecodeState reads a value of rooms:states:{room}. An error means that someone else wrote it.
func DecodeState(value []byte) (*State, error) {
	var v struct {
		SID             string        `json:"sid"`
		CreatedAt       int64         `json:"createdAt"`
		LastUpdated     int64         `json:"lastUpdated"`
		MaxParticipants uint32        `json:"maxParticipants"`
		Metadata        string        `json:"metadata"`
		Version         uint64        `json:"version"`
		Participants    []Participant `json:"participants"`
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, fmt.Errorf("not a room's state: %w", err)
	}
	s := &State{SID: v.SID, CreatedAt: v.CreatedAt, LastUpdated: v.LastUpdated,
		MaxParticipants: v.MaxParticipants, Metadata: v.Metadata, Version: v.Version}
	for _, p := range v.Participants {
		if p.SID == "" || p.Identity == "" {
			return nil, errors.New("not a room's state: a participant without sid or identity")
		}
		s.Roster = append(s.Roster, NewMember(p))
	}
	slices.SortStableFunc(s.Roster, byJoin)
	return s, nil
}

// encode writes plain JSON: readers compare these bytes, so < > and & stay as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings, integers and string maps cannot fail to encode.
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
