package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// folded is the state of one room as a consumer of the change feed knows it.
type folded struct {
	version string   // of the last entry
	at      [3]int64 // its generation, epoch and version
	room    *State   // nil while the room is not live
	people  map[string]Member
}

// consumer folds the feed by the rules that docs/protocol.md gives to consumers.
type consumer struct{ rooms map[string]*folded }

// take folds one entry. It returns an error for a gap, and for an entry that contradicts the ones before.
func (c *consumer) take(e map[string]any) error {
	field := func(name string) string { s, _ := e[name].(string); return s }
	f := c.rooms[field("room")]
	if f == nil {
		f = &folded{version: "0"}
		c.rooms[field("room")] = f
	}
	kind, snapshot := field("type"), field("type") == "room_snapshot"
	switch {
	case snapshot:
	case field("n") == "1" && field("prev") != f.version:
		return fmt.Errorf("a gap: it follows %s and the last was %s", field("prev"), f.version)
	case field("n") != "1" && field("version") != f.version:
		return fmt.Errorf("part %s of a commit whose first part did not come", field("n"))
	}
	number := map[string]int64{}
	for _, name := range []string{"gen", "epoch", "version", "n", "of", "time"} {
		var err error
		if number[name], err = strconv.ParseInt(field(name), 10, 64); err != nil {
			return fmt.Errorf("%s is no number", name)
		}
	}
	at := [3]int64{number["gen"], number["epoch"], number["version"]}
	if number["n"] == 1 && slices.Compare(at[:], f.at[:]) <= 0 {
		return fmt.Errorf("its generation, epoch and version %v do not come after %v", at, f.at)
	}
	f.at = at
	if !slices.Contains([]string{"webhook", "sync", "cleanup"}, field("cause")) {
		return fmt.Errorf("the cause %q", field("cause"))
	}
	f.version = field("version")
	if err := f.apply(kind, field("sid"), []byte(field("data"))); err != nil {
		return err
	}
	if f.room != nil {
		version, _ := strconv.ParseUint(f.version, 10, 64)
		f.room.Version = version
	}
	return nil
}

func (f *folded) apply(kind, sid string, data []byte) error {
	switch kind {
	case "room_snapshot", "room_started", "room_updated":
		var s *State
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if kind == "room_snapshot" || f.people == nil {
			f.people = map[string]Member{}
		}
		if s != nil {
			for _, m := range s.Participants {
				f.people[m.SID] = m
			}
		}
		f.room = s
	case "participant_joined", "participant_updated":
		var m Member
		if err := json.Unmarshal(data, &m); err != nil || m.SID != sid || f.room == nil {
			return fmt.Errorf("%s of %q with %q: %w", kind, sid, data, err)
		}
		f.people[sid] = m
	case "participant_left":
		if _, ok := f.people[sid]; !ok {
			return fmt.Errorf("%q left, and was not there", sid)
		}
		delete(f.people, sid)
	case "room_finished":
		f.room, f.people = nil, nil
	default:
		return fmt.Errorf("the type %q", kind)
	}
	return nil
}

// CheckFeed is FeedAgrees for what Redis has now. A commit between its two reads gives an error, which the next call does not.
func CheckFeed(ctx context.Context, c *redis.Client) error {
	entries, err := c.XRange(ctx, "rooms:events", "-", "+").Result()
	if err != nil {
		return err
	}
	now, err := Read(ctx, c)
	if err != nil {
		return err
	}
	return FeedAgrees(entries, now)
}

// FeedAgrees returns nil if the whole feed keeps its promises and folds to what the keys hold: each room's commits have rising
// claims and versions, and each is chained to the one before.
func FeedAgrees(entries []redis.XMessage, now Moment) error {
	c := consumer{rooms: map[string]*folded{}}
	for _, e := range entries {
		if err := c.take(e.Values); err != nil {
			return fmt.Errorf("feed entry %s: %w: %v", e.ID, err, e.Values)
		}
	}
	got, want := c.states(), map[string]State{}
	for name, raw := range now.States {
		s, err := ParseState(raw)
		if err != nil {
			return err
		}
		s.LastUpdated = 0
		want[name] = sorted(s)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("the keys (-) and the folded feed (+) differ:\n%s", diff)
	}
	return nil
}

// states returns the rooms according to the feed, without the time of their last change.
func (c *consumer) states() map[string]State {
	got := map[string]State{}
	for name, f := range c.rooms {
		if f.room == nil {
			continue
		}
		s := *f.room
		s.LastUpdated, s.Participants = 0, nil
		for _, m := range f.people {
			s.Participants = append(s.Participants, m)
		}
		got[name] = sorted(s)
	}
	return got
}

func sorted(s State) State {
	if len(s.Participants) == 0 {
		s.Participants = nil
	}
	slices.SortFunc(s.Participants, ByJoin)
	return s
}
