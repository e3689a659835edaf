package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
	"github.com/rollcallhq/rollcall/testing/sim"
)

// stage is a LiveKit with one room, which the test sets.
type stage struct {
	mu   sync.Mutex
	info *reconcile.RoomInfo
	who  []reconcile.Participant
}

func (l *stage) set(info reconcile.RoomInfo, who ...reconcile.Participant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.info, l.who = &info, who
}

// ListRooms implements actors.Rooms.
func (l *stage) ListRooms(context.Context) (list reconcile.RoomNames, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.info != nil {
		list.Names = []string{l.info.Name}
	}
	return list, nil
}

// Listed implements actors.Rooms.
func (l *stage) Listed(_ context.Context, names []string) (list reconcile.RoomList, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.info != nil && slices.Contains(names, l.info.Name) {
		list.Rooms = map[string][]reconcile.RoomInfo{l.info.Name: {*l.info}}
	}
	return list, nil
}

// Participants implements actors.Rooms.
func (l *stage) Participants(context.Context, string) (reconcile.ParticipantList, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return reconcile.ParticipantList{Active: slices.Clone(l.who)}, nil
}

// reader follows the feed on a real Redis by the rules of docs/consuming.md.
type reader struct {
	t     *testing.T
	redis *redis.Client
	// checks makes the reader verify that its last entry still exists. Without it, it has only the rules for entries.
	checks      bool
	last, known string
	versions    map[string]int
	rosters     map[string]map[string]bool // identities; absent for a room that is not live
}

func newReader(t *testing.T, addr string, checks bool) *reader {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	r := &reader{t: t, redis: c, checks: checks}
	r.begin()
	return r
}

func (c *reader) end() string {
	found, err := c.redis.XRevRangeN(c.t.Context(), "rooms:events", "+", "-", 1).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	if len(found) == 0 {
		return "0-0"
	}
	return found[0].ID
}

func (c *reader) begin() {
	c.versions, c.rosters = map[string]int{}, map[string]map[string]bool{}
	c.last = c.end()
	for _, key := range c.redis.Keys(c.t.Context(), "rooms:states:*").Val() {
		c.read(key[len("rooms:states:"):])
	}
	c.known = c.end()
}

func (c *reader) read(room string) {
	delete(c.rosters, room)
	delete(c.versions, room)
	var s struct {
		Version      int
		Participants []struct{ Identity string }
	}
	if raw, err := c.redis.Get(c.t.Context(), "rooms:states:"+room).Bytes(); err == nil && json.Unmarshal(raw, &s) == nil {
		c.rosters[room], c.versions[room] = map[string]bool{}, s.Version
		for _, p := range s.Participants {
			c.rosters[room][p.Identity] = true
		}
	}
	c.known = c.end()
}

// fold processes the appended entries.
func (c *reader) fold() {
	c.t.Helper()
	var read []redis.XStream
	eventually.True(c.t, "Redis answers", func() bool { // each connection to a server that has ended fails once
		got, err := c.redis.XRead(c.t.Context(), &redis.XReadArgs{Streams: []string{"rooms:events", c.last}, Count: 1000, Block: -1}).Result()
		read = got
		return err == nil || err == redis.Nil
	})
	if c.checks && c.known != "0-0" {
		if there, err := c.redis.XRange(c.t.Context(), "rooms:events", c.known, c.known).Result(); err != nil || len(there) == 0 {
			c.begin()
			return
		}
	}
	for _, stream := range read {
		for _, m := range stream.Messages {
			c.last, c.known = m.ID, m.ID
			c.take(m.Values)
		}
	}
}

func (c *reader) take(e map[string]any) {
	s := func(k string) string { v, _ := e[k].(string); return v }
	room := s("room")
	version, _ := strconv.Atoi(s("version"))
	prev, _ := strconv.Atoi(s("prev"))
	switch kind := s("type"); {
	case kind == "room_snapshot":
		delete(c.rosters, room)
		c.versions[room] = version
		var d *struct{ Participants []struct{ Identity string } }
		if json.Unmarshal([]byte(s("data")), &d) == nil && d != nil {
			c.rosters[room] = map[string]bool{}
			for _, p := range d.Participants {
				c.rosters[room][p.Identity] = true
			}
		}
		return
	case version <= c.versions[room]:
		return
	case prev != c.versions[room]:
		c.read(room)
		return
	case kind == "room_finished":
		delete(c.rosters, room)
	case kind == "participant_left":
		delete(c.rosters[room], s("identity"))
	default:
		if c.rosters[room] == nil {
			c.rosters[room] = map[string]bool{}
		}
		if who := s("identity"); who != "" {
			c.rosters[room][who] = true
		}
	}
	if s("n") == s("of") {
		c.versions[room] = version
	}
}

// holds returns who is in the room according to the reader.
func (c *reader) holds(room string) string {
	if c.rosters[room] == nil {
		return "no room"
	}
	var all []string
	for i := range c.rosters[room] {
		all = append(all, i)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func feeding(t *testing.T, addr string) *redisstore.Store {
	t.Helper()
	o := &redis.UniversalOptions{Addrs: []string{addr}}
	redisstore.Harden(o)
	s, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), Feed: true, Kinds: reconcile.Kinds{"STANDARD": true},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rewound is a room on a Redis that is set back to an older copy: by kill -9 with RDB persistence, Redis' own default, or by the
// promotion of a lagging replica.
type rewound struct {
	*testing.T
	redis   *redistest.Server
	store   *redisstore.Store
	livekit *stage
	made    time.Time
	readers map[string]*reader
}

func newRewound(t *testing.T) *rewound {
	server := redistest.Start(t, "--appendonly", "no")
	return &rewound{T: t, redis: server, store: feeding(t, server.Addr), livekit: &stage{}, made: time.Now(),
		readers: map[string]*reader{"who checks": newReader(t, server.Addr, true), "who has the rules alone": newReader(t, server.Addr, false)}}
}

func (w *rewound) person(who string, life int) reconcile.Participant {
	return reconcile.Participant{Identity: who, SID: fmt.Sprint("PA_", who, life), JoinedAt: w.created(life).UnixMilli(), Version: 1, Kind: "STANDARD"}
}

func (w *rewound) created(life int) time.Time { return w.made.Add(time.Duration(life) * time.Minute) }

func (w *rewound) info(life int) reconcile.RoomInfo {
	return reconcile.RoomInfo{Name: "r", SID: fmt.Sprint("RM", life), CreatedMs: w.created(life).UnixMilli()}
}

func (w *rewound) send(to *actors.Router, kind reconcile.EventKind, life int, who string) {
	w.Helper()
	e := reconcile.Event{ID: fmt.Sprint(kind, life, who), Kind: kind, CreatedAt: w.created(life).Unix() + 30, Room: w.info(life), Participant: w.person(who, life)}
	eventually.True(w.T, "Redis answers", func() bool { return to.Deliver(w.Context(), e) == nil }) // each connection to a server that has ended fails once
}

func (w *rewound) save() {
	w.Helper()
	if err := w.redis.Client().Save(w.Context()).Err(); err != nil {
		w.Fatal(err)
	}
}

func (w *rewound) want(holds string, by ...string) {
	w.Helper()
	for name, r := range w.readers {
		if len(by) > 0 && !slices.Contains(by, name) {
			continue
		}
		r.fold()
		if got := r.holds("r"); got != holds {
			w.Errorf("%s of the feed holds %s, the keys say %s", name, got, holds)
		}
	}
}

// TestAConsumerKnowsWhenRedisWasSetBack checks a consumer when versions that nobody remembers recur with different content.
func TestAConsumerKnowsWhenRedisWasSetBack(t *testing.T) {
	t.Run("owner and Redis are restarted", func(t *testing.T) {
		w := newRewound(t)
		node, err := sim.NewNode(1, w.store, w.livekit)
		if err != nil {
			t.Fatal(err)
		}
		w.send(node.Router, reconcile.Started, 0, "")
		w.send(node.Router, reconcile.Joined, 0, "anna")
		w.save()
		for _, who := range []string{"b", "c", "d"} {
			w.send(node.Router, reconcile.Joined, 0, who)
		}
		w.want("[anna b c d]")
		_ = node.Host.Stop(context.Background())
		w.redis.Restart(true)
		w.livekit.set(w.info(0), w.person("anna", 0)) // b, c and d have left in the meantime
		if node, err = sim.NewNode(2, w.store, w.livekit); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = node.Host.Stop(context.Background()) }()
		eventually.True(t, "Redis answers", func() bool {
			report, err := node.Sweep.Sync(t.Context(), node.Led, reconcile.Options{Scheduled: true})
			return err == nil && report.Errors == 0
		})
		w.want("[anna]", "who checks") // nothing has been written since
		w.send(node.Router, reconcile.Joined, 0, "late")
		w.want("[anna late]")
	})
	t.Run("Redis alone is restarted, and the room had finished", func(t *testing.T) {
		w := newRewound(t)
		own := &sim.Node{Claimed: reconcile.Claim{Generation: 1, Epoch: 10, Incarnation: 9}, Led: reconcile.Token{Generation: 1, Index: 11}}
		host, err := actors.NewHost(actors.HostConfig{Store: w.store, Rooms: w.livekit, Ownership: own, Clock: actors.NewSystemClock(), Observer: sim.Silent{},
			Log: slog.New(slog.DiscardHandler), Rest: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = host.Stop(context.Background()) }()
		router := actors.NewRouter(own, func(actors.Place) (actors.Owner, bool) { return host, true })
		w.send(router, reconcile.Started, 0, "")
		w.send(router, reconcile.Joined, 0, "anna")
		w.save()
		for _, who := range []string{"b", "c", "d", "e"} {
			w.send(router, reconcile.Joined, 0, who)
		}
		w.send(router, reconcile.Finished, 0, "")
		w.want("no room")
		eventually.True(t, "Redis answers", func() bool { names, err := host.Names(t.Context()); return err == nil && len(names) == 0 })
		w.redis.Restart(true)
		w.want("[anna]", "who checks")
		w.send(router, reconcile.Started, 1, "")
		w.send(router, reconcile.Joined, 1, "otto")
		w.want("[otto]")
	})
}
