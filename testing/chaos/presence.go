package chaos

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/oracle"
)

// grace is how far the clocks of the engine's events and of the feed may be apart: they are of one machine, and round.
const grace = 20 * time.Millisecond

// fold is who the feed says is in which room, held against who really is.
type fold struct {
	stays    map[string]stay
	rooms    map[string]map[string]bool // by room, sids
	gone     map[string]bool            // sids that have been taken out
	problems []string
}

// presence holds every entry of the feed against the truth: nobody is taken out who is there, and nobody who was taken out comes
// back although they have left. It gives ten problems at most.
func presence(feed []redis.XMessage, stays map[string]stay) []string {
	f := &fold{stays: stays, rooms: map[string]map[string]bool{}, gone: map[string]bool{}}
	for _, e := range feed {
		f.take(e)
	}
	return f.problems[:min(10, len(f.problems))]
}

func (f *fold) take(e redis.XMessage) {
	field := func(name string) string { s, _ := e.Values[name].(string); return s }
	ms, _, _ := strings.Cut(e.ID, "-")
	unix, _ := strconv.ParseInt(ms, 10, 64)
	at, room := time.UnixMilli(unix), field("room")
	if f.rooms[room] == nil {
		f.rooms[room] = map[string]bool{}
	}
	switch field("type") {
	case "participant_joined":
		f.in(room, field("sid"), at, e)
	case "participant_left":
		f.out(room, field("sid"), at, e)
	case "room_finished":
		for sid := range f.rooms[room] {
			f.out(room, sid, at, e)
		}
	case "room_started", "room_snapshot":
		f.replace(room, field("data"), at, e)
	}
}

func (f *fold) replace(room, data string, at time.Time, e redis.XMessage) {
	var s *oracle.State
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		f.problem("feed entry %s: %v", e.ID, err)
		return
	}
	now := map[string]bool{}
	if s != nil {
		for _, m := range s.Participants {
			now[m.SID] = true
		}
	}
	for sid := range f.rooms[room] {
		if !now[sid] {
			f.out(room, sid, at, e)
		}
	}
	for sid := range now {
		if !f.rooms[room][sid] {
			f.in(room, sid, at, e)
		}
	}
}

func (f *fold) in(room, sid string, at time.Time, e redis.XMessage) {
	f.rooms[room][sid] = true
	stay, known := f.stays[sid]
	switch {
	case !known:
		f.problem("%s in %s was never there: feed entry %s %v", sid, room, e.ID, e.Values)
	case f.gone[sid] && !stay.To.IsZero() && stay.To.Before(at.Add(-grace)):
		f.problem("%s in %s left at %s, was taken out, and came back: feed entry %s %v", sid, room, stamp(stay.To), e.ID, e.Values)
	}
}

func (f *fold) out(room, sid string, at time.Time, e redis.XMessage) {
	delete(f.rooms[room], sid)
	f.gone[sid] = true
	if stay := f.stays[sid]; stay.To.IsZero() || stay.To.After(at.Add(grace)) {
		f.problem("%s in %s was taken out while it was there: feed entry %s %v", sid, room, e.ID, e.Values)
	}
}

func (f *fold) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}
