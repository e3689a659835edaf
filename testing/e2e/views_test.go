package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/livekit"
	"github.com/redis/go-redis/v9"
)

const (
	participantsKey = "rooms:participants:"
	statesKey       = "rooms:states:"
)

// view is a room as LiveKit and Redis must agree on it.
type view struct {
	SID, Metadata   string
	CreatedAt       int64 // Unix ms
	MaxParticipants uint32
	Present         []string // the identities that count
	Roster          []member
}

// member is a participant of a view and, by its tags, of a state in Redis.
type member struct {
	Identity   string            `json:"identity"`
	JoinedAt   int64             `json:"joinedAt"` // Unix ms
	Metadata   string            `json:"metadata"`
	SID        string            `json:"sid"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
	Kind       string            `json:"kind"`
	Hidden     bool              `json:"hidden"`
	Version    uint32            `json:"version"`
}

// state is a value of rooms:states:{room}.
type state struct {
	RoomName        string   `json:"roomName"`
	SID             string   `json:"sid"`
	IsActive        bool     `json:"isActive"`
	CreatedAt       int64    `json:"createdAt"`
	LastUpdated     int64    `json:"lastUpdated"`
	MaxParticipants uint32   `json:"maxParticipants"`
	Metadata        string   `json:"metadata"`
	Version         uint64   `json:"version"`
	Participants    []member `json:"participants"`
}

// fields are what the contract promises of a state and of each participant in it.
var (
	stateFields = []string{"roomName", "sid", "isActive", "createdAt", "lastUpdated", "maxParticipants", "metadata", "version", "participants"}
	rosterField = []string{"identity", "joinedAt", "metadata", "sid", "name", "attributes", "kind", "hidden", "version"}
)

// read is one moment of Redis: both values of every room.
type read struct{ present, states map[string]string }

// readScript takes a moment whole. A value of a wrong type comes as "".
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

func readRedis(ctx context.Context, c *redis.Client) (read, error) {
	got, err := readScript.Run(ctx, c, nil).Slice()
	if err != nil {
		return read{}, err
	}
	maps := [2]map[string]string{{}, {}}
	for i := range maps {
		pairs, _ := got[i].([]any)
		for j := 0; j+1 < len(pairs); j += 2 {
			maps[i][fmt.Sprint(pairs[j])] = fmt.Sprint(pairs[j+1])
		}
	}
	return read{present: maps[0], states: maps[1]}, nil
}

// views checks the shape of everything and gives the rooms.
func (r read) views(kinds []string) (map[string]view, error) {
	if a, b := slices.Sorted(maps.Keys(r.present)), slices.Sorted(maps.Keys(r.states)); !slices.Equal(a, b) {
		return nil, fmt.Errorf("the two keys do not go together: participants of %q, states of %q", a, b)
	}
	all := map[string]view{}
	for room, raw := range r.states {
		s, err := parseState(raw)
		if err != nil {
			return nil, fmt.Errorf("state of room %q: %w in %s", room, err, raw)
		}
		if s.RoomName != room || !s.IsActive || s.Version == 0 || s.LastUpdated < s.CreatedAt-60_000 {
			return nil, fmt.Errorf("state of room %q: %s", room, raw)
		}
		v := view{SID: s.SID, Metadata: s.Metadata, CreatedAt: s.CreatedAt, MaxParticipants: s.MaxParticipants, Roster: s.Participants}
		if err := json.Unmarshal([]byte(r.present[room]), &v.Present); err != nil || v.Present == nil {
			return nil, fmt.Errorf("participants of room %q: %q", room, r.present[room])
		}
		if want := present(v.Roster, kinds); !slices.Equal(v.Present, want) {
			return nil, fmt.Errorf("room %q: %q are present, but its state means %q", room, v.Present, want)
		}
		all[room] = v
	}
	return all, nil
}

func parseState(raw string) (state, error) {
	var s state
	var whole map[string]json.RawMessage
	var roster []map[string]json.RawMessage
	err := json.Unmarshal([]byte(raw), &whole)
	if err == nil {
		err = errors.Join(json.Unmarshal(whole["participants"], &roster), json.Unmarshal([]byte(raw), &s))
	}
	if err != nil {
		return s, err
	}
	for _, name := range stateFields {
		if _, ok := whole[name]; !ok {
			return s, fmt.Errorf("no %q", name)
		}
	}
	for _, one := range roster {
		for _, name := range rosterField {
			if _, ok := one[name]; !ok {
				return s, fmt.Errorf("a participant without %q", name)
			}
		}
	}
	return s, nil
}

// present are the identities of a roster that count, in its order.
func present(roster []member, kinds []string) []string {
	ids := []string{}
	for _, m := range roster {
		if !m.Hidden && slices.Contains(kinds, m.Kind) {
			ids = append(ids, m.Identity)
		}
	}
	return ids
}

// livekitView asks LiveKit itself, not by way of the proxy.
func (w *world) livekitView() (map[string]view, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rooms, err := w.api.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return nil, err
	}
	all := map[string]view{}
	for _, r := range rooms.Rooms {
		people, err := w.api.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: r.Name})
		if err != nil {
			return nil, err
		}
		v := view{SID: r.Sid, Metadata: r.Metadata, CreatedAt: r.CreationTimeMs, MaxParticipants: r.MaxParticipants, Roster: []member{}}
		for _, p := range people.Participants {
			if p.State == livekit.ParticipantInfo_ACTIVE {
				v.Roster = append(v.Roster, memberOf(p))
			}
		}
		slices.SortFunc(v.Roster, byJoin)
		v.Present = present(v.Roster, w.kinds())
		all[r.Name] = v
	}
	return all, nil
}

func memberOf(p *livekit.ParticipantInfo) member {
	m := member{Identity: p.Identity, JoinedAt: p.JoinedAtMs, Metadata: p.Metadata, SID: p.Sid, Name: p.Name, Attributes: p.Attributes,
		Kind: p.Kind.String(), Hidden: p.Permission.GetHidden(), Version: p.Version}
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	return m
}

func byJoin(a, b member) int {
	return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.Identity, b.Identity))
}

func (w *world) kinds() []string {
	if w.opts.kinds != nil {
		return w.opts.kinds
	}
	return []string{"STANDARD", "SIP"}
}

// redisView is Redis as its readers see it.
func (w *world) redisView() (map[string]view, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := readRedis(ctx, w.redis.Client())
	if err != nil {
		return nil, err
	}
	return r.views(w.kinds())
}

// agree compares Redis with LiveKit. LiveKit raises a participant's version without a word, so that is compared only after a
// sync (exactly). rooms, if given, are the only ones looked at.
func (w *world) agree(exactly bool, rooms ...string) error {
	want, err := w.livekitView()
	if err != nil {
		return fmt.Errorf("LiveKit: %w", err)
	}
	got, err := w.redisView()
	if err != nil {
		return fmt.Errorf("Redis: %w", err)
	}
	for _, all := range []map[string]view{want, got} {
		maps.DeleteFunc(all, func(name string, _ view) bool { return len(rooms) > 0 && !slices.Contains(rooms, name) })
		for _, v := range all {
			for i := range v.Roster {
				if !exactly {
					v.Roster[i].Version = 0
				}
			}
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("LiveKit (-) and Redis (+) differ:\n%s", diff)
	}
	return nil
}

// converges waits until webhooks have made Redis equal to LiveKit.
func (w *world) converges(rooms ...string) {
	w.t.Helper()
	poll(w.t, patience, "Redis equals LiveKit", func() error { return w.agree(false, rooms...) })
}

// converged is for after a sync while nothing moves: equal, and now.
func (w *world) converged() {
	w.t.Helper()
	if err := w.agree(true); err != nil {
		w.t.Errorf("after a completed sync: %v", err)
	}
}

// latency measures how long a participant takes into Redis.
func (w *world) latency(room, sid string) time.Duration {
	w.t.Helper()
	begun := time.Now()
	poll(w.t, patience, "the participant is in Redis", func() error {
		raw, err := w.redis.Client().Get(w.ctx(), statesKey+room).Result()
		if err == nil && !strings.Contains(raw, sid) {
			err = errors.New("not there")
		}
		return err
	})
	return time.Since(begun)
}
