package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
)

// maxMatchBytes limits the values of a page of check-match: the page ends before the room that would exceed it, because
// large rooms must not fill the memory. A room that is larger than this has a page of its own.
const maxMatchBytes = 8 << 20

// matchingBytes is the memory needed to count the application's keys.
const matchingBytes = 6 << 20

type matchAnswer struct {
	Active  int64 `json:"activeMatchesCount"`
	Present int64 `json:"roomParticipantsCount"`
	States  int64 `json:"roomStatesCount"`
	Running bool  `json:"syncServiceRunning"`
	Queue   int64 `json:"matchingQueueSize"`

	// Participants and Rooms are sent by room. They follow the fields above and precede those of matchTail.
	Participants, Rooms fields `json:"-"`
}

// matchTail is the end of the answer.
type matchTail struct {
	// Unreadable lists the rooms with a value that others have overwritten; that value is left out above.
	Unreadable []string `json:"unreadable,omitempty"`
	Next       string   `json:"nextCursor,omitempty"`
	// Incomplete means that part of Redis does not answer and its rooms are missing.
	Incomplete bool `json:"incomplete,omitempty"`
}

// fields are the fields of a JSON object, names and values alternating.
type fields struct {
	pieces
	count int64
}

func (f *fields) add(name string, value []byte) error {
	key, err := encodeJSON(name)
	if err != nil {
		return err
	}
	if f.count++; f.count > 1 {
		f.pieces = append(f.pieces, []byte(","))
	}
	f.pieces = append(f.pieces, bytes.TrimSpace(key), []byte(":"), value)
	return nil
}

// pieces builds the answer without copying the rooms' states.
func (m *matchAnswer) pieces(t *matchTail) (pieces, error) {
	head, err := encodeJSON(m)
	if err != nil {
		return nil, err
	}
	tail, err := encodeJSON(t)
	if err != nil {
		return nil, err
	}
	all := pieces{bytes.TrimSuffix(bytes.TrimSpace(head), []byte("}")), []byte(`,"roomParticipants":{`)}
	all = append(append(all, m.Participants.pieces...), []byte(`},"roomStates":{`))
	all = append(append(all, m.Rooms.pieces...), []byte("}"))
	if tail = bytes.TrimPrefix(bytes.TrimSpace(tail), []byte("{")); len(tail) > 1 {
		all = append(all, []byte(","))
	}
	return append(all, tail, []byte("\n")), nil
}

// checkMatch answers GET /api/check-match?limit&cursor. The counts cover all rooms even if the page does not; they then come
// from the index.
func (a *api) checkMatch(c *call) (any, error) {
	w, err := c.window(maxLimit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	if err := c.need(readBytes + matchingBytes); err != nil {
		return nil, err
	}
	m, t := &matchAnswer{}, &matchTail{}
	status, err := a.ports.Admin.Status(ctx)
	if err != nil {
		return nil, err
	}
	m.Running = status.Running
	m.Active, m.Queue, err = a.ports.Reader.Matching(ctx)
	if err = part(err, &t.Incomplete); err != nil {
		return nil, unreadable(err)
	}
	if err := a.collect(ctx, c, w, m, t); err != nil {
		return nil, unreadable(err)
	}
	m.Present, m.States = m.Participants.count, m.Rooms.count
	if t.Next == "" && w.cursor == "" {
		return m.pieces(t)
	}
	n, err := a.ports.Reader.Count(ctx)
	if err = part(err, &t.Incomplete); err != nil {
		return nil, unreadable(err)
	}
	m.Present, m.States = n, n
	return m.pieces(t)
}

// collect fills in a page of rooms and the cursor of the next page. It reads batch by batch, so that the page can end
// between two.
func (a *api) collect(ctx context.Context, c *call, w window, m *matchAnswer, t *matchTail) error {
	cursor, kept := w.cursor, int64(0)
	for left := w.limit; left > 0; {
		names, next, err := a.ports.Reader.Rooms(ctx, cursor, min(left, readBatch), "")
		if err = part(err, &t.Incomplete); err != nil {
			return err
		}
		if len(names) == 0 {
			cursor = next
			break
		}
		fit, large, err := a.fitAnswer(ctx, c, names, kept, &t.Incomplete)
		if kept > 0 && errors.Is(err, ErrBusy) {
			break // there is no memory for these now: the next page begins with them
		}
		if err != nil {
			return err
		}
		if len(fit) < len(names) { // only the reader knows the cursor after those that fit
			if fit, next, err = a.ports.Reader.Rooms(ctx, cursor, len(fit), ""); part(err, &t.Incomplete) != nil {
				return err
			}
		}
		if large {
			t.Unreadable = append(t.Unreadable, fit...)
			left, cursor = left-len(fit), next
			if next == "" {
				break
			}
			continue
		}
		size, err := a.take(ctx, fit, maxMatchBytes-kept, kept == 0, m, t)
		if err != nil {
			return err
		}
		if size < 0 {
			break // the next page begins with these
		}
		left, kept, cursor = left-len(fit), kept+size, next
		if next == "" || kept >= maxMatchBytes {
			break
		}
	}
	t.Next = opaque(cursor)
	return nil
}

// take adds rooms to the page if they fit or are the first, and returns the bytes of their values, or -1 if they do not fit.
func (a *api) take(ctx context.Context, names []string, space int64, first bool, m *matchAnswer, t *matchTail) (size int64, err error) {
	present, states, err := a.ports.Reader.States(ctx, names)
	if err = part(err, &t.Incomplete); err != nil {
		return 0, err
	}
	for _, name := range names {
		size += int64(len(present[name]) + len(states[name]))
	}
	if size > space && !first {
		return -1, nil
	}
	for _, name := range names {
		if err := m.add(t, name, present[name], states[name]); err != nil {
			return 0, err
		}
	}
	return size, nil
}

func (m *matchAnswer) add(t *matchTail, name string, present, state json.RawMessage) error {
	if present == nil && state == nil {
		return nil // it has just been removed
	}
	var failed error
	people, readable := identities(present)
	if readable {
		value, err := encodeJSON(people)
		failed = errors.Join(err, m.Participants.add(name, bytes.TrimSpace(value)))
	}
	if isObject(state) {
		failed = errors.Join(failed, m.Rooms.add(name, state))
	} else {
		readable = false
	}
	if !readable {
		t.Unreadable = append(t.Unreadable, name)
	}
	return failed
}
