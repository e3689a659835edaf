package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcallhq/rollcall/reconcile"
)

// History reports what was changed and repaired.
type History interface {
	// Timeline returns a room's last changes, at most limit, newest first.
	Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error)
	// Drift returns the cluster's last repairs, newest first.
	Drift(ctx context.Context) ([]reconcile.DriftEntry, error)
}

// LiveKit asks LiveKit itself.
type LiveKit interface {
	// Look returns LiveKit's current state of a room; only Listed, Participants and Waiting are set. It counts against the
	// budget of requests to LiveKit. A failed call is never taken as an answer.
	Look(ctx context.Context, room string) (reconcile.Look, error)
}

// Meter keeps this node's counts of the last half hour.
type Meter interface {
	Stats() Stats
}

// Stats are counts of one node in points of equal length, oldest first. The current point is not among them.
type Stats struct {
	Node     string  `json:"node"`
	Interval int64   `json:"intervalMs"`
	Points   []Point `json:"points"`
}

// Point counts what happened from Time on, for one interval.
type Point struct {
	Time     int64 `json:"time"`     // Unix ms
	Webhooks int   `json:"webhooks"` // answered with 200 by this node
	Changes  int   `json:"changes"`  // changes that readers of the keys saw, of rooms owned by this node
	Drift    int   `json:"drift"`    // repairs of rooms owned by this node
	// Converge is the median time from the event in LiveKit to its commit, for events that LiveKit dates to the millisecond;
	// 0 if there were none.
	Converge int64 `json:"convergeMs"`
	// Occupancy is that of the whole cluster at the end of the point; nil if a node did not answer.
	Occupancy *reconcile.Occupancy `json:"occupancy,omitempty"`
}

// historyBytes is the memory that a list of the last changes or repairs takes until it is encoded.
const historyBytes = 1 << 20

type timelineAnswer struct {
	Room    string                    `json:"room"`
	Entries []reconcile.TimelineEntry `json:"entries"`
}

// showTimeline answers GET /api/rooms/{room}/timeline. A room that never existed has an empty one.
func (a *api) showTimeline(c *call) (any, error) {
	limit, err := c.limit(defaultRooms)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	if err := c.need(historyBytes); err != nil {
		return nil, err
	}
	entries, err := a.ports.History.Timeline(ctx, c.room, limit)
	if err != nil {
		return nil, unreadable(err)
	}
	return timelineAnswer{c.room, append([]reconcile.TimelineEntry{}, entries...)}, nil
}

type driftAnswer struct {
	Totals  map[reconcile.Reason]int `json:"totals"`
	Entries []reconcile.DriftEntry   `json:"entries"`
}

// showDrift answers GET /api/drift?room&reason&limit. The totals cover everything that is kept, whatever the filters are.
func (a *api) showDrift(c *call) (any, error) {
	limit, err := c.limit(defaultRooms)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	if err := c.need(historyBytes); err != nil {
		return nil, err
	}
	all, err := a.ports.History.Drift(ctx)
	if err != nil {
		return nil, unreadable(err)
	}
	room, reason := c.query.Get("room"), reconcile.Reason(c.query.Get("reason"))
	answer := driftAnswer{map[reconcile.Reason]int{}, []reconcile.DriftEntry{}}
	for _, e := range all {
		answer.Totals[e.Reason]++
		if len(answer.Entries) < limit && (room == "" || e.Room == room) && (reason == "" || e.Reason == reason) {
			answer.Entries = append(answer.Entries, e)
		}
	}
	return answer, nil
}

// liveKitAnswer is a room as LiveKit has it. CreatedAt is Unix ms. Fields that the list of rooms does not contain are empty.
type liveKitAnswer struct {
	Room            string            `json:"room"`
	Listed          bool              `json:"listed"`
	SID             string            `json:"sid"`
	CreatedAt       int64             `json:"createdAt"`
	MaxParticipants uint32            `json:"maxParticipants"`
	Metadata        string            `json:"metadata"`
	Participants    []json.RawMessage `json:"participants"`
	Waiting         int               `json:"waiting"`
}

// showLiveKit answers GET /api/rooms/{room}/livekit. Few callers may ask at a time, because the budget is shared with the
// syncs.
func (a *api) showLiveKit(c *call) (any, error) {
	if !a.looks.take(c.who, 1) {
		return nil, ErrBusy
	}
	defer a.looks.give(c.who, 1)
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	look, err := a.ports.LiveKit.Look(ctx, c.room)
	if err != nil {
		return nil, &problem{status: http.StatusServiceUnavailable, retry: soon, text: "LiveKit does not answer now; try again shortly", cause: err}
	}
	answer := liveKitAnswer{Room: c.room, Waiting: look.Waiting, Participants: []json.RawMessage{}}
	if l := look.Room(""); l != nil {
		answer.Listed, answer.SID, answer.CreatedAt, answer.MaxParticipants, answer.Metadata = true, l.SID, l.CreatedMs, l.MaxParticipants, l.Metadata
	}
	slices.SortFunc(look.Participants, func(a, b reconcile.Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.Identity, b.Identity), strings.Compare(a.SID, b.SID))
	})
	size := int64(0)
	for _, p := range look.Participants {
		member := reconcile.NewMember(p).JSON()
		size += copies * int64(len(member))
		if err := c.need(historyBytes + size); err != nil {
			return nil, err
		}
		answer.Participants = append(answer.Participants, member)
	}
	return answer, nil
}

// stats answers GET /api/stats.
func (a *api) stats(*call) (any, error) {
	s := a.ports.Meter.Stats()
	if s.Points == nil {
		s.Points = []Point{}
	}
	return s, nil
}
