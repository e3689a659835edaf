package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

const (
	defaultRooms = 100
	// readBatch is how many rooms' values are fetched at a time; a room of a thousand participants has some 300 KB.
	readBatch = 50
)

type roomRow struct {
	Name         string `json:"roomName"`
	Participants int    `json:"participantCount"`
	CreatedAt    int64  `json:"createdAt"`   // Unix ms; 0 if others made the value unreadable
	LastUpdated  int64  `json:"lastUpdated"` // Unix ms; likewise
}

type roomsAnswer struct {
	Rooms []roomRow `json:"rooms"`
	Next  string    `json:"nextCursor,omitempty"`
	// Incomplete means that part of Redis does not answer and its rooms are missing.
	Incomplete bool `json:"incomplete,omitempty"`
}

// listRooms answers GET /api/rooms?limit&cursor&search. A page may be short, or empty, and still have a nextCursor.
func (a *api) listRooms(c *call) (any, error) {
	w, err := c.window(defaultRooms)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	answer := roomsAnswer{Rooms: []roomRow{}}
	names, next, err := a.ports.Reader.Rooms(ctx, w.cursor, w.limit, w.search)
	if err = part(err, &answer.Incomplete); err != nil {
		return nil, unreadable(err)
	}
	answer.Next = opaque(next)
	for len(names) > 0 {
		batch, large, err := a.fitAnswer(ctx, c, names, 0, &answer.Incomplete)
		if err != nil {
			return nil, unreadable(err)
		}
		names = names[len(batch):]
		if large {
			answer.Rooms = append(answer.Rooms, row(batch[0], nil, nil))
			continue
		}
		present, states, err := a.ports.Reader.States(ctx, batch)
		if err = part(err, &answer.Incomplete); err != nil {
			return nil, unreadable(err)
		}
		for _, name := range batch {
			if present[name] != nil || states[name] != nil {
				answer.Rooms = append(answer.Rooms, row(name, present[name], states[name]))
			}
		}
	}
	return answer, nil
}

// A read of rooms' values takes a fixed amount of memory, and for a while each value twice: as Redis sent it, and as it is
// kept.
const (
	readBytes = 1 << 20
	copies    = 2
)

const (
	// listBytes is how many bytes of values a list reads at a time; a larger room is read alone.
	listBytes = 1 << 20
	// largeRoom is the size from which on a room's values are read only by GET /api/rooms/{room}.
	largeRoom = 10 << 20
)

// fitAnswer returns the first rooms of names whose values are read at once, and reserves the memory for them in addition to the
// kept bytes. large is true for a single room that is too large for a list. Errors: ErrBusy, or the reader's.
func (a *api) fitAnswer(ctx context.Context, c *call, names []string, kept int64, incomplete *bool) (some []string, large bool, err error) {
	names = names[:min(len(names), readBatch)]
	sizes, err := a.ports.Reader.Sizes(ctx, names)
	if err = part(err, incomplete); err != nil {
		return nil, false, err
	}
	if sizes[0].Participants+sizes[0].State > largeRoom {
		return names[:1], true, nil
	}
	n, size := 0, int64(0)
	for n < len(names) {
		next := sizes[n].Participants + sizes[n].State
		if n > 0 && size+next > listBytes {
			break
		}
		n, size = n+1, size+next
	}
	return names[:n], false, c.need(readBytes + kept + copies*size)
}

// part turns an ErrIncomplete into *incomplete and returns any other error.
func part(err error, incomplete *bool) error {
	if errors.Is(err, ErrIncomplete) {
		*incomplete = true
		return nil
	}
	return err
}

// row never fails: a room that others have overwritten is listed with what can be read of it.
func row(name string, present, state json.RawMessage) roomRow {
	var times struct {
		CreatedAt   int64 `json:"createdAt"`
		LastUpdated int64 `json:"lastUpdated"`
	}
	_ = json.Unmarshal(state, &times)
	people, _ := identities(present)
	return roomRow{name, len(people), times.CreatedAt, times.LastUpdated}
}

// showRoom answers GET /api/rooms/{room} and ?name= with the state as stored.
func (a *api) showRoom(c *call) (any, error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	sizes, err := a.ports.Reader.Sizes(ctx, []string{c.room})
	if err == nil {
		err = c.need(sizes[0].State)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	state, ok, err := a.ports.Reader.State(ctx, c.room, sizes[0].State)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case !ok:
		return nil, refuse(http.StatusNotFound, "No such room now")
	case !isObject(state):
		return nil, refuse(http.StatusServiceUnavailable, "The state of this room was overwritten by others; the next sync repairs it")
	}
	return state, nil
}

// identities parses a value of rooms:participants:{room}. It returns false for anything but an array of strings.
func identities(value json.RawMessage) ([]string, bool) {
	var list []string
	err := json.Unmarshal(value, &list)
	return list, err == nil && list != nil
}

// isObject checks the whole value: anything that is not JSON would spoil the answer that contains it.
func isObject(value json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte("{")) && json.Valid(value)
}

// unreadable returns the problem of a failed read. A reader that failed may fail again for a while, which is no bug of this
// node.
func unreadable(err error) error {
	if errors.Is(err, ErrMalformed) {
		return badCursor()
	}
	if errors.Is(err, ErrBusy) {
		return ErrBusy
	}
	return &problem{status: http.StatusServiceUnavailable, retry: soon,
		text: "Redis cannot be read now; try again shortly", cause: err}
}
