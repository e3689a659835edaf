package httpapi

import (
	"context"
	"encoding/json"
)

// maxMatchBytes ends a page of check-match early, so that large rooms do not fill the memory.
const maxMatchBytes = 32 << 20

type matchAnswer struct {
	Active  int64 `json:"activeMatchesCount"`
	Present int64 `json:"roomParticipantsCount"`
	States  int64 `json:"roomStatesCount"`
	Running bool  `json:"syncServiceRunning"`
	Queue   int64 `json:"matchingQueueSize"`

	Participants map[string][]string        `json:"roomParticipants"`
	Rooms        map[string]json.RawMessage `json:"roomStates"`
	// Unreadable names the rooms of which others have overwritten a value; that value is left out above.
	Unreadable []string `json:"unreadable,omitempty"`
	Next       string   `json:"nextCursor,omitempty"`
	// Incomplete says that part of Redis does not answer, and that its rooms are missing.
	Incomplete bool `json:"incomplete,omitempty"`
}

// checkMatch answers GET /api/check-match?limit&cursor. The counts are of all rooms, also where the page is a part: then
// they are the index's.
func (a *api) checkMatch(c *call) (any, error) {
	w, err := c.window(maxLimit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	m := &matchAnswer{Participants: map[string][]string{}, Rooms: map[string]json.RawMessage{}}
	status, err := a.ports.Admin.Status(ctx)
	if err != nil {
		return nil, err
	}
	m.Running = status.Running
	m.Active, m.Queue, err = a.ports.Reader.Matching(ctx)
	if err = part(err, &m.Incomplete); err != nil {
		return nil, unreadable(err)
	}
	if err := a.collect(ctx, w, m); err != nil {
		return nil, unreadable(err)
	}
	m.Present, m.States = int64(len(m.Participants)), int64(len(m.Rooms))
	if m.Next == "" && w.cursor == "" {
		return m, nil
	}
	n, err := a.ports.Reader.Count(ctx)
	if err = part(err, &m.Incomplete); err != nil {
		return nil, unreadable(err)
	}
	m.Present, m.States = n, n
	return m, nil
}

// collect fills in a page of rooms, batch by batch so that it can end between two, and where the next begins.
func (a *api) collect(ctx context.Context, w window, m *matchAnswer) error {
	cursor, size := w.cursor, 0
	for left := w.limit; left > 0 && size < maxMatchBytes; {
		names, next, err := a.ports.Reader.Rooms(ctx, cursor, min(left, readBatch), "")
		if err = part(err, &m.Incomplete); err != nil {
			return err
		}
		present, states, err := a.ports.Reader.States(ctx, names)
		if err = part(err, &m.Incomplete); err != nil {
			return err
		}
		for _, name := range names {
			m.add(name, present[name], states[name])
			size += len(present[name]) + len(states[name])
		}
		left -= len(names)
		if cursor = next; next == "" || len(names) == 0 {
			break
		}
	}
	m.Next = opaque(cursor)
	return nil
}

func (m *matchAnswer) add(name string, present, state json.RawMessage) {
	if present == nil && state == nil {
		return // it has just gone
	}
	people, readable := identities(present)
	if readable {
		m.Participants[name] = people
	}
	if isObject(state) {
		m.Rooms[name] = state
	} else {
		readable = false
	}
	if !readable {
		m.Unreadable = append(m.Unreadable, name)
	}
}
