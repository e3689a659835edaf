package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// grace is the most by which the clocks of the engine's events and of the feed may differ: they are of one machine, but rounded.
const grace = 20 * time.Millisecond

// fold compares who is in which room according to the feed with who really is.
type fold struct {
	stays    map[string]stay
	feed     []redis.XMessage
	rooms    map[string]map[string]bool // the sids in each room
	parts    map[string]map[string]bool // by room, the sids of a commit that has more parts to come
	gone     map[string]bool            // sids that have been removed
	problems []string
}

// presence checks every commit of the feed against the truth: it removes nobody who is present, brings nobody back who has left,
// and reports nobody who stays as left and joined in one commit. It returns at most ten problems.
func presence(feed []redis.XMessage, stays map[string]stay) []string {
	f := &fold{stays: stays, feed: feed, rooms: map[string]map[string]bool{}, parts: map[string]map[string]bool{}, gone: map[string]bool{}}
	for _, e := range feed {
		f.take(e)
	}
	return f.problems[:min(10, len(f.problems))]
}

func (f *fold) take(e redis.XMessage) {
	field := func(name string) string { s, _ := e.Values[name].(string); return s }
	room := field("room")
	now := f.parts[room]
	if now == nil {
		if now = maps.Clone(f.rooms[room]); now == nil {
			now = map[string]bool{}
		}
		f.parts[room] = now
	}
	switch field("type") {
	case "participant_joined":
		if sid := field("sid"); f.rooms[room][sid] && !now[sid] {
			f.problem("%s in %s stays, and is reported as left and joined: %s", sid, room, f.tell(room, e))
		}
		now[field("sid")] = true
	case "participant_left":
		delete(now, field("sid"))
	case "room_finished":
		clear(now)
	case "room_started", "room_snapshot":
		clear(now)
		var s *oracle.State
		if err := json.Unmarshal([]byte(field("data")), &s); err != nil {
			f.problem("feed entry %s: %v", e.ID, err)
		}
		if s != nil {
			for _, m := range s.Participants {
				now[m.SID] = true
			}
		}
	}
	if field("n") == field("of") {
		f.commit(room, now, e)
	}
}

// commit compares a room before and after the commit whose last entry is e.
func (f *fold) commit(room string, now map[string]bool, e redis.XMessage) {
	at, before := written(e), f.rooms[room]
	f.rooms[room] = now
	delete(f.parts, room)
	for _, sid := range slices.Sorted(maps.Keys(before)) {
		if !now[sid] {
			f.out(room, sid, at, e)
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(now)) {
		if !before[sid] {
			f.in(room, sid, at, e)
		}
	}
}

// written returns when Redis accepted an entry, by its id.
func written(e redis.XMessage) time.Time {
	ms, _, _ := strings.Cut(e.ID, "-")
	unix, _ := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(unix)
}

func (f *fold) in(room, sid string, at time.Time, e redis.XMessage) {
	stay, known := f.stays[sid]
	switch {
	case !known:
		f.problem("%s in %s was never there: %s", sid, room, f.tell(room, e))
	case f.gone[sid] && !stay.To.IsZero() && stay.To.Before(at.Add(-grace)):
		f.problem("%s in %s left at %s, was taken out, and came back: %s", sid, room, stamp(stay.To), f.tell(room, e))
	}
}

func (f *fold) out(room, sid string, at time.Time, e redis.XMessage) {
	f.gone[sid] = true
	if stay := f.stays[sid]; stay.To.IsZero() || stay.To.After(at.Add(grace)) {
		f.problem("%s in %s (there from %s to %s) was taken out while it was there: %s", sid, room, stamp(stay.From), stamp(stay.To), f.tell(room, e))
	}
}

// tellLast is the number of preceding entries of a room that are shown with a problem.
const tellLast = 20

// tell returns e, preceded by the latest entries of its room.
func (f *fold) tell(room string, e redis.XMessage) string {
	var lines []string
	for _, o := range f.feed {
		if o.Values["room"] != room {
			continue
		}
		line := fmt.Sprintf("  %s at %s", o.ID, stamp(written(o)))
		for _, name := range []string{"epoch", "version", "n", "of", "type", "identity", "sid", "cause"} {
			line += fmt.Sprintf(" %v", o.Values[name])
		}
		lines = append(lines, line)
		if o.ID == e.ID {
			break
		}
	}
	return "feed entry " + e.ID + ", the last of\n" + strings.Join(lines[max(0, len(lines)-tellLast):], "\n")
}

// early returns the rooms that the feed says have finished while they lived, whatever an empty or failing list showed. It returns
// at most ten problems.
func early(feed []redis.XMessage, ends map[string]time.Time) (problems []string) {
	for _, e := range feed {
		sid, _ := e.Values["sid"].(string)
		end, known := ends[sid]
		if e.Values["type"] == "room_finished" && known && (end.IsZero() || end.After(written(e).Add(grace))) {
			problems = append(problems, fmt.Sprintf("%v %s was finished by %v at %s, and lived until %s", e.Values["room"], sid, e.Values["cause"],
				stamp(written(e)), stamp(end)))
		}
	}
	return problems[:min(10, len(problems))]
}

func (f *fold) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}
