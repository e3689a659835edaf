package clusterkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// history records when, according to the feed, each participant was first present and first gone, and each room instance
// likewise.
type history struct {
	came, went       map[string]time.Time // by the participant's sid
	started, stopped map[string]time.Time // by the room's sid
	rooms            map[string]*presence
	newest           map[string][]sighting // by room, or by room and identity: each newer one
	latest           map[string]int64      // by the room's sid: when the last participant joined (Unix ms)
}

// sighting is when a room's instance, or an identity's participant, that began at since (Unix ms) was first present.
type sighting struct {
	since int64
	at    time.Time
}

// presence is who is in a room at the current point of the feed.
type presence struct {
	sid    string
	people map[string]bool
}

func readHistory(entries []redis.XMessage) (*history, error) {
	h := &history{came: map[string]time.Time{}, went: map[string]time.Time{}, started: map[string]time.Time{},
		stopped: map[string]time.Time{}, rooms: map[string]*presence{}, newest: map[string][]sighting{},
		latest: map[string]int64{}}
	for _, e := range entries {
		if err := h.take(e); err != nil {
			return nil, fmt.Errorf("feed entry %s: %w", e.ID, err)
		}
	}
	return h, nil
}

func (h *history) take(e redis.XMessage) error {
	ms, _, _ := strings.Cut(e.ID, "-")
	unix, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return err
	}
	at := time.UnixMilli(unix)
	field := func(name string) string { s, _ := e.Values[name].(string); return s }
	room := h.rooms[field("room")]
	if room == nil {
		room = &presence{people: map[string]bool{}}
		h.rooms[field("room")] = room
	}
	switch field("type") {
	case "participant_joined":
		var m oracle.Member
		if err := json.Unmarshal([]byte(field("data")), &m); err != nil {
			return err
		}
		h.enter(field("room"), room, m, at)
	case "participant_left":
		first(h.went, field("sid"), at)
		delete(room.people, field("sid"))
	case "room_finished":
		h.empty(room, at)
	case "room_updated":
		return h.update(field("room"), room, field("sid"), []byte(field("data")), at)
	case "room_started", "room_snapshot":
		return h.replace(field("room"), room, []byte(field("data")), at)
	}
	return nil
}

func (h *history) enter(name string, room *presence, m oracle.Member, at time.Time) {
	first(h.came, m.SID, at)
	room.people[m.SID] = true
	h.latest[room.sid] = max(h.latest[room.sid], m.JoinedAt)
	h.sight(name+"\x00"+m.Identity, m.JoinedAt, at)
}

func (h *history) sight(what string, since int64, at time.Time) {
	if before := h.newest[what]; len(before) == 0 || before[len(before)-1].since < since {
		h.newest[what] = append(before, sighting{since, at})
	}
}

// outdated reports whether something newer than since was present by then.
func (h *history) outdated(what string, since int64, by time.Time) bool {
	return slices.ContainsFunc(h.newest[what], func(s sighting) bool { return s.since > since && !s.at.After(by) })
}

func (h *history) empty(room *presence, at time.Time) {
	first(h.stopped, room.sid, at)
	for sid := range room.people {
		first(h.went, sid, at)
	}
	room.sid, room.people = "", map[string]bool{}
}

// replace replaces a room's state with a whole new state; null means none.
func (h *history) replace(name string, room *presence, data []byte, at time.Time) error {
	var s *oracle.State
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	before := *room
	room.sid, room.people = "", map[string]bool{}
	if s != nil {
		room.sid = s.SID
		first(h.started, s.SID, at)
		h.sight(name, s.CreatedAt, at)
		for _, m := range s.Participants {
			h.enter(name, room, m, at)
		}
	}
	if before.sid != room.sid {
		first(h.stopped, before.sid, at)
	}
	for sid := range before.people {
		if !room.people[sid] {
			first(h.went, sid, at)
		}
	}
	return nil
}

// update changes only the room's fields. If a participant stays while the instance is replaced, the new instance begins with such
// a change.
func (h *history) update(name string, room *presence, sid string, data []byte, at time.Time) error {
	if sid == room.sid {
		return nil
	}
	var s oracle.State
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	first(h.stopped, room.sid, at)
	first(h.started, sid, at)
	h.sight(name, s.CreatedAt, at)
	h.latest[sid] = max(h.latest[sid], h.latest[room.sid])
	room.sid = sid
	return nil
}

func first(times map[string]time.Time, of string, at time.Time) {
	if _, known := times[of]; !known && of != "" {
		times[of] = at
	}
}

// covers returns nil if a webhook was not answered with 200, or if its event or something newer was in the feed by then. The end
// of something that never existed changes nothing, so it is covered too. Redis and the sender share one clock, and an entry's id
// is rounded down to its ms.
func (h *history) covers(w Webhook) error {
	if w.Answered.IsZero() || h.outdated(w.Room, w.Created, w.Answered) {
		return nil
	}
	times, of := h.started, w.RoomSID
	switch w.Event {
	case "room_started":
	case "room_finished":
		// A finish spares participants who joined within its second or later: with them the room stays.
		if _, was := h.started[of]; !was || h.latest[of] >= 1000*w.Emitted {
			return nil
		}
		times = h.stopped
	case "participant_joined", "participant_left":
		times, of = h.came, w.SID
		if h.outdated(w.Room+"\x00"+w.Identity, w.Joined, w.Answered) {
			return nil
		}
		if w.Event == "participant_joined" {
			break
		}
		if _, was := h.came[of]; !was {
			return nil
		}
		times = h.went
	default:
		return nil
	}
	switch at, known := times[of]; {
	case !known:
		return errors.New("the feed has nothing of it")
	case at.After(w.Answered):
		return fmt.Errorf("the feed has it only %v later", at.Sub(w.Answered))
	}
	return nil
}
