package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const roomsPath = "/api/rooms"

// RoomSummary is one room of a list. Times are Unix milliseconds.
type RoomSummary struct {
	RoomName         string `json:"roomName"`
	ParticipantCount int    `json:"participantCount"`
	CreatedAt        int64  `json:"createdAt"`
	LastUpdated      int64  `json:"lastUpdated"`
}

// Participant is one participant of a room. JoinedAt is in Unix milliseconds.
type Participant struct {
	Identity   string            `json:"identity"`
	JoinedAt   int64             `json:"joinedAt"`
	Metadata   string            `json:"metadata"`
	SID        string            `json:"sid"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
	// Kind is LiveKit's kind of participant, such as "STANDARD" or "SIP".
	Kind    string `json:"kind"`
	Hidden  bool   `json:"hidden"`
	Version uint32 `json:"version"`
}

// Room is one room's state. Times are Unix milliseconds.
type Room struct {
	RoomName        string        `json:"roomName"`
	SID             string        `json:"sid"`
	IsActive        bool          `json:"isActive"`
	CreatedAt       int64         `json:"createdAt"`
	LastUpdated     int64         `json:"lastUpdated"`
	MaxParticipants int           `json:"maxParticipants"`
	Metadata        string        `json:"metadata"`
	Version         uint64        `json:"version"`
	Participants    []Participant `json:"participants"`
}

// RoomsQuery selects rooms of the list.
type RoomsQuery struct {
	// Search selects rooms whose name contains it; empty selects all.
	Search string
	// PageSize is how many rooms one request returns; 0 leaves it to the node.
	PageSize int
}

// ErrIncomplete means that a shard of Redis does not answer: its rooms are missing from the list, and nothing else is.
var ErrIncomplete = errors.New("part of Redis does not answer: its rooms are missing from the list")

// Rooms lists rooms and fetches each page when it is needed. An error is the last thing that it yields: ErrIncomplete after all rooms that could be
// read. Rooms that are created or end meanwhile may be missed or listed twice.
func (c *Client) Rooms(ctx context.Context, q RoomsQuery) iter.Seq2[RoomSummary, error] {
	return func(yield func(RoomSummary, error) bool) {
		cursor, incomplete := "", false
		for {
			page, err := c.page(ctx, q, cursor)
			if err != nil {
				yield(RoomSummary{}, err)
				return
			}
			for _, room := range page.Rooms {
				if !yield(room, nil) {
					return
				}
			}
			incomplete = incomplete || page.Incomplete
			if page.NextCursor == "" {
				if incomplete {
					yield(RoomSummary{}, ErrIncomplete)
				}
				return
			}
			if page.NextCursor == cursor {
				yield(RoomSummary{}, fmt.Errorf("%w: its list of rooms does not advance", ErrNotRollcall))
				return
			}
			cursor = page.NextCursor
		}
	}
}

type roomsPage struct {
	Rooms      []RoomSummary `json:"rooms"`
	NextCursor string        `json:"nextCursor"`
	Incomplete bool          `json:"incomplete"`
}

func (c *Client) page(ctx context.Context, q RoomsQuery, cursor string) (roomsPage, error) {
	params := url.Values{}
	if q.Search != "" {
		params.Set("search", q.Search)
	}
	if q.PageSize > 0 {
		params.Set("limit", strconv.Itoa(q.PageSize))
	}
	if cursor != "" {
		params.Set("cursor", cursor)
	}
	return get[roomsPage](ctx, c, withQuery(roomsPath, params))
}

// Room returns one room's state. An *Error with status 404 means that no room of that name exists now. Any text may be a
// name.
func (c *Client) Room(ctx context.Context, name string) (Room, error) {
	return get[Room](ctx, c, roomPath(name))
}

// roomPath returns the path of a room's state. Names that a path cannot carry, because proxies and routers clean, split or
// refuse it, are put in the query.
func roomPath(name string) string {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\;%`) ||
		!utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return roomsPath + "?" + url.Values{"name": {name}}.Encode()
	}
	return roomsPath + "/" + url.PathEscape(name)
}
