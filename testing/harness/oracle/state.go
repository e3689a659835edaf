// Package oracle decides whether Redis is correct: what its keys hold, what LiveKit holds, how the two differ, and whether the
// change feed keeps its promises. It reads the keys as an application does, by the documented contract alone, and uses none of
// rollcall's own code.
package oracle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The prefixes of the keys, to which a room's name is appended.
const (
	ParticipantsKey = "rooms:participants:"
	StatesKey       = "rooms:states:"
)

// View is a room as LiveKit and Redis must agree on it.
type View struct {
	SID, Metadata   string
	CreatedAt       int64 // Unix ms
	MaxParticipants uint32
	Present         []string // the identities that count
	Roster          []Member
}

// Member is a participant in a View. Its tags decode the participants of a state in Redis.
type Member struct {
	Identity   string            `json:"identity"`
	JoinedAt   int64             `json:"joinedAt"` // Unix ms
	Metadata   string            `json:"metadata"`
	SID        string            `json:"sid"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
	Kind       string            `json:"kind"`
	Hidden     bool              `json:"hidden"`
	Version    uint32            `json:"version"`
}

// State is a value of rooms:states:{room}.
type State struct {
	RoomName        string   `json:"roomName"`
	SID             string   `json:"sid"`
	IsActive        bool     `json:"isActive"`
	CreatedAt       int64    `json:"createdAt"`
	LastUpdated     int64    `json:"lastUpdated"`
	MaxParticipants uint32   `json:"maxParticipants"`
	Metadata        string   `json:"metadata"`
	Version         uint64   `json:"version"`
	Participants    []Member `json:"participants"`
}

// The fields that the contract promises for a state and for each participant in it.
var (
	stateFields = []string{"roomName", "sid", "isActive", "createdAt", "lastUpdated", "maxParticipants", "metadata", "version", "participants"}
	rosterField = []string{"identity", "joinedAt", "metadata", "sid", "name", "attributes", "kind", "hidden", "version"}
)

// ParseState parses a value of rooms:states:{room}, which must have every field of the contract.
func ParseState(raw string) (State, error) {
	var s State
	var whole map[string]json.RawMessage
	var roster []map[string]json.RawMessage
	err := json.Unmarshal([]byte(raw), &whole)
	if err == nil {
		err = errors.Join(json.Unmarshal(whole["participants"], &roster), json.Unmarshal([]byte(raw), &s))
	}
	if err != nil {
		return s, err
	}
	for _, name := range stateFields {
		if _, ok := whole[name]; !ok {
			return s, fmt.Errorf("no %q", name)
		}
	}
	for _, one := range roster {
		for _, name := range rosterField {
			if _, ok := one[name]; !ok {
				return s, fmt.Errorf("a participant without %q", name)
			}
		}
	}
	return s, nil
}

// present returns the identities of a roster that count, in its order.
func present(roster []Member, kinds []string) []string {
	ids := []string{}
	for _, m := range roster {
		if !m.Hidden && slices.Contains(kinds, m.Kind) {
			ids = append(ids, m.Identity)
		}
	}
	return ids
}

// ByJoin compares two members by their order in a roster.
func ByJoin(a, b Member) int {
	return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.Identity, b.Identity))
}
