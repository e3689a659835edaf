package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Moment is the content of Redis at one moment: both values of every room.
type Moment struct{ Present, States map[string]string }

// readScript reads a Moment atomically. A value of a wrong type is returned as "".
var readScript = redis.NewScript(`
local out = {{}, {}}
for i, prefix in ipairs({'rooms:participants:', 'rooms:states:'}) do
  for _, key in ipairs(redis.call('KEYS', prefix .. '*')) do
    local value = redis.pcall('GET', key)
    table.insert(out[i], string.sub(key, #prefix + 1))
    table.insert(out[i], type(value) == 'string' and value or '')
  end
end
return out`)

// Read reads a Moment atomically.
func Read(ctx context.Context, c *redis.Client) (Moment, error) {
	got, err := readScript.Run(ctx, c, nil).Slice()
	if err != nil {
		return Moment{}, err
	}
	maps := [2]map[string]string{{}, {}}
	for i := range maps {
		pairs, _ := got[i].([]any)
		for j := 0; j+1 < len(pairs); j += 2 {
			maps[i][fmt.Sprint(pairs[j])] = fmt.Sprint(pairs[j+1])
		}
	}
	return Moment{Present: maps[0], States: maps[1]}, nil
}

// Written returns when a room's state was last written, according to the state itself. It is zero if there is no readable state.
func (m Moment) Written(room string) time.Time {
	s, err := ParseState(m.States[room])
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(s.LastUpdated)
}

// Views checks the shape of every value and returns the rooms.
func (m Moment) Views(kinds []string) (map[string]View, error) {
	if a, b := slices.Sorted(maps.Keys(m.Present)), slices.Sorted(maps.Keys(m.States)); !slices.Equal(a, b) {
		return nil, fmt.Errorf("the two keys do not go together: participants of %q, states of %q", a, b)
	}
	all := map[string]View{}
	for room, raw := range m.States {
		s, err := ParseState(raw)
		if err != nil {
			return nil, fmt.Errorf("state of room %q: %w in %s", room, err, raw)
		}
		if s.RoomName != room || !s.IsActive || s.Version == 0 || s.LastUpdated < s.CreatedAt-60_000 {
			return nil, fmt.Errorf("state of room %q: %s", room, raw)
		}
		v := View{SID: s.SID, Metadata: s.Metadata, CreatedAt: s.CreatedAt, MaxParticipants: s.MaxParticipants, Roster: s.Participants}
		if err := json.Unmarshal([]byte(m.Present[room]), &v.Present); err != nil || v.Present == nil {
			return nil, fmt.Errorf("participants of room %q: %q", room, m.Present[room])
		}
		if want := present(v.Roster, kinds); !slices.Equal(v.Present, want) {
			return nil, fmt.Errorf("room %q: %q are present, but its state means %q", room, v.Present, want)
		}
		all[room] = v
	}
	return all, nil
}
