package client

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// TimelineEntry is one change of a room, and its origin. Time is in Unix milliseconds.
type TimelineEntry struct {
	Time     int64  `json:"time"`
	Type     string `json:"type"` // as in the change feed, such as "participant_joined"
	Identity string `json:"identity"`
	SID      string `json:"sid"`
	Cause    string `json:"cause"` // "webhook", "sync" or "cleanup"
	// Reason is the kind of drift that a sync or a cleanup repaired.
	Reason  string `json:"reason"`
	Event   string `json:"event"` // the webhook's id
	Gen     uint64 `json:"gen"`
	Epoch   uint64 `json:"epoch"`
	Version uint64 `json:"version"`
	Owner   string `json:"owner"` // the node that wrote it
	// DisconnectReason, JoinedAt and LeftAt are set for a participant_left only: LiveKit's DisconnectReason by name, and
	// when the participant joined and left, in Unix milliseconds.
	DisconnectReason string `json:"disconnectReason,omitempty"`
	JoinedAt         int64  `json:"joinedAt,omitempty"`
	LeftAt           int64  `json:"leftAt,omitempty"`
}

// Timeline returns a room's last changes, newest first and at most limit (1 to 1000; 0 leaves it to the node). A room that
// never existed has none.
func (c *Client) Timeline(ctx context.Context, room string, limit int) ([]TimelineEntry, error) {
	answer, err := get[struct {
		Entries []TimelineEntry `json:"entries"`
	}](ctx, c, withQuery(partPath(room, "timeline"), limitQuery(limit)))
	return answer.Entries, err
}

// LiveKitRoom is a room as LiveKit itself has it. CreatedAt is in Unix
// milliseconds.
type LiveKitRoom struct {
	Room string `json:"room"`
	// Listed reports whether LiveKit lists the room; if not, SID to Metadata are empty.
	Listed          bool          `json:"listed"`
	SID             string        `json:"sid"`
	CreatedAt       int64         `json:"createdAt"`
	MaxParticipants int           `json:"maxParticipants"`
	Metadata        string        `json:"metadata"`
	Participants    []Participant `json:"participants"`
	// Waiting counts participants that are not connected yet.
	Waiting int `json:"waiting"`
}

// LiveKitRoom has the node ask LiveKit. An *Error with status 503 means that LiveKit does not answer.
func (c *Client) LiveKitRoom(ctx context.Context, room string) (LiveKitRoom, error) {
	return get[LiveKitRoom](ctx, c, partPath(room, "livekit"))
}

// DriftEntry is one repair. Time is in Unix milliseconds.
type DriftEntry struct {
	Time     int64  `json:"time"`
	Room     string `json:"room"`
	Reason   string `json:"reason"`
	Identity string `json:"identity"`
	SID      string `json:"sid"`
	Cause    string `json:"cause"` // "sync" or "cleanup"
	Node     string `json:"node"`
}

// Drift is what comparisons with LiveKit recently had to repair.
type Drift struct {
	// Totals counts everything that is kept, by reason, whatever the query selects.
	Totals  map[string]int `json:"totals"`
	Entries []DriftEntry   `json:"entries"` // newest first
}

// DriftQuery selects repairs; empty fields match all. Limit is 1 to 1000, 0 leaves it to the node.
type DriftQuery struct {
	Room, Reason string
	Limit        int
}

// Drift returns the cluster's last repairs.
func (c *Client) Drift(ctx context.Context, q DriftQuery) (Drift, error) {
	params := limitQuery(q.Limit)
	if q.Room != "" {
		params.Set("room", q.Room)
	}
	if q.Reason != "" {
		params.Set("reason", q.Reason)
	}
	return get[Drift](ctx, c, withQuery("/api/drift", params))
}

// Point counts what happened on a node from Time on (Unix milliseconds), for
// one interval.
type Point struct {
	Time     int64 `json:"time"`
	Webhooks int   `json:"webhooks"`
	Changes  int   `json:"changes"`
	Drift    int   `json:"drift"`
	// ConvergeMs is the median time from a change in LiveKit to its commit, in milliseconds; 0 if there was none.
	ConvergeMs int64 `json:"convergeMs"`
	// Occupancy is that of the whole cluster; nil if a node did not answer.
	Occupancy *Occupancy `json:"occupancy,omitempty"`
}

// Stats are one node's counts of the last half hour, oldest first.
type Stats struct {
	Node       string  `json:"node"`
	IntervalMs int64   `json:"intervalMs"`
	Points     []Point `json:"points"`
}

// Stats returns the counts of the node that answers.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	s, err := get[Stats](ctx, c, "/api/stats")
	if err == nil && s.IntervalMs <= 0 {
		return Stats{}, ErrNotRollcall
	}
	return s, err
}

// partPath returns the path of a part of a room, in the form that roomPath uses for the room.
func partPath(room, part string) string {
	path, query, byQuery := strings.Cut(roomPath(room), "?")
	if byQuery {
		return path + "/" + part + "?" + query
	}
	return path + "/" + part
}

func limitQuery(limit int) url.Values {
	params := url.Values{}
	if limit > 0 {
		params.Set("limit", strconv.Itoa(limit))
	}
	return params
}

func withQuery(path string, params url.Values) string {
	if len(params) == 0 {
		return path
	}
	if strings.Contains(path, "?") {
		return path + "&" + params.Encode()
	}
	return path + "?" + params.Encode()
}
