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
	"strings"
)

// Member is a participant together with its JSON, which is encoded once and not at each write. It is immutable.
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
	return &Member{Participant: p, json: p.json()}
}

// json returns what encoding/json returns for p, without reflection: every join encodes a participant.
func (p *Participant) json() []byte {
	size := 128 + textSize(p.Identity) + textSize(p.Metadata) + textSize(p.SID) + textSize(p.Name) + textSize(p.Kind) // a room keeps what is too much
	for key, value := range p.Attributes {
		size += textSize(key) + textSize(value) + len(`"":"",`)
	}
	b := append(make([]byte, 0, size), `{"identity":`...)
	b = appendText(b, p.Identity)
	b = append(b, `,"joinedAt":`...)
	b = strconv.AppendInt(b, p.JoinedAt, 10)
	b = append(b, `,"metadata":`...)
	b = appendText(b, p.Metadata)
	b = append(b, `,"sid":`...)
	b = appendText(b, p.SID)
	b = append(b, `,"name":`...)
	b = appendText(b, p.Name)
	b = append(b, `,"attributes":{`...)
	for i, key := range slices.Sorted(maps.Keys(p.Attributes)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, key), ':')
		b = appendText(b, p.Attributes[key])
	}
	b = append(b, `},"kind":`...)
	b = appendText(b, p.Kind)
	b = append(b, `,"hidden":`...)
	b = strconv.AppendBool(b, p.Hidden)
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, uint64(p.Version), 10)
	return append(b, '}')
}

// JSON returns the participant as rooms:states:{room} has it.
func (m *Member) JSON() []byte { return m.json }

// Equal reports whether m and o have the same content.
func (m *Member) Equal(o *Member) bool { return bytes.Equal(m.json, o.json) }

// says reports whether m has the same content as p. It does not encode p.
func (m *Member) says(p *Participant) bool {
	kind := cmp.Or(p.Kind, "STANDARD")
	return m.SID == p.SID && m.Identity == p.Identity && m.JoinedAt == p.JoinedAt && m.Version == p.Version &&
		m.Metadata == p.Metadata && m.Name == p.Name && m.Kind == kind && m.Hidden == p.Hidden &&
		maps.Equal(m.Attributes, p.Attributes)
}

// JSON returns the value of rooms:states:{room}.
func (s *State) JSON(room string) []byte { return s.AppendJSON(nil, room) }

// AppendJSON appends what JSON returns.
func (s *State) AppendJSON(b []byte, room string) []byte {
	size := 256 + len(room) + len(s.Metadata)
	for _, m := range s.Roster {
		size += len(m.json) + 1
	}
	b = append(slices.Grow(b, size), `{"roomName":`...)
	b = appendText(b, room)
	b = append(b, `,"sid":`...)
	b = appendText(b, s.SID)
	b = append(b, `,"isActive":true,"createdAt":`...)
	b = strconv.AppendInt(b, s.CreatedAt, 10)
	b = append(b, `,"lastUpdated":`...)
	b = strconv.AppendInt(b, s.LastUpdated, 10)
	b = append(b, `,"maxParticipants":`...)
	b = strconv.AppendUint(b, uint64(s.MaxParticipants), 10)
	b = append(b, `,"metadata":`...)
	b = appendText(b, s.Metadata)
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

// Present returns the value of rooms:participants:{room}: a JSON array of the counted identities by join time.
func (s *State) Present(count Kinds) []byte { return s.AppendPresent(nil, count) }

// AppendPresent appends what Present returns.
func (s *State) AppendPresent(b []byte, count Kinds) []byte {
	size := 2
	for _, m := range s.Roster {
		size += len(m.Identity) + 3
	}
	b = append(slices.Grow(b, size), '[')
	first := true
	for _, m := range s.Roster {
		if !count.Counts(&m.Participant) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		b, first = appendText(b, m.Identity), false
	}
	return append(b, ']')
}

// Find returns the member with that sid, or nil. It works on a nil State.
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

// DecodeState decodes a value of rooms:states:{room}. An error means that someone else wrote the value.
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

// appendText appends encode(text). Most text is printable ASCII, in which only two characters are escaped.
func appendText(b []byte, text string) []byte {
	before, done := len(b), 0
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~':
			return append(b[:before], encode(text)...)
		case c == '"' || c == '\\':
			b = append(append(b, text[done:i]...), '\\', c)
			done = i + 1
		}
	}
	return append(append(b, text[done:]...), '"')
}

// textSize returns how many bytes appendText appends to most texts, without the quotes.
func textSize(text string) int {
	return len(text) + strings.Count(text, `"`) + strings.Count(text, `\`)
}

// encode returns v as plain JSON. Readers compare these bytes, so <, > and & are not escaped.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings, integers and string maps cannot fail to encode.
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
