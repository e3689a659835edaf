package clusterkit

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// The kit's own checks must be able to fail.

// TestWitness replays what Redis would show of scripts, and of what they wrote.
func TestWitness(t *testing.T) {
	t.Parallel()
	const (
		claims  = `"evalsha" "sha" "4" "rooms:fence:a" "p" "s" "t" `
		commits = `"evalsha" "sha" "6" "rooms:fence:a" "p" "s" "f" "t" "i" "3" `
		both    = `"evalsha" "sha" "12" "rooms:fence:b" "p" "s" "f" "t" "i" "rooms:fence:a" "p" "s" "f" "t" "i" "3" "7" "10" "3" "3" "7" "9" "2"`
		claimed = `[0 lua] "HSET" "rooms:fence:a" "gen" "7" "version" "0"`
		at      = `[0 lua] "HMGET" "rooms:fence:a" "gen"`
		atB     = `[0 lua] "HMGET" "rooms:fence:b" "gen"`
		states  = `[0 lua] "MSET" "p" "[]" "s" "{}"`
	)
	version := func(n string) string { return `[0 lua] "HSET" "rooms:fence:a" "version" "` + n + `" "sid" "RM_\x00"` }
	led := func(n string) string {
		return `[0 lua] "HSET" "rooms:fence:a" "version" "` + n + `" "lgen" "7" "lidx" "` + n + `"`
	}
	for name, c := range map[string]struct {
		lines []string
		wrong string // part of the one problem; "" for none
		stale int
	}{
		"in order":                      {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "10" "3"`, at, version("1"), commits + `"7" "10" "3"`, at, version("2")}, "", 0},
		"refused":                       {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "9" "2"`, at, `"ping"`}, "", 1},
		"an old one lands":              {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "9" "2"`, at, states}, "landed after the claim", 0},
		"a version again":               {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "10" "3"`, at, version("2"), commits + `"7" "10" "3"`, at, version("2")}, "follows version 2", 0},
		"without a claim":               {[]string{commits + `"7" "10" "3"`, at, version("1")}, "follows version 0", 0},
		"two of one claim":              {[]string{claims + `"7" "10" "3"`, claimed, claims + `"7" "10" "4"`, claimed}, "conflicts with", 0},
		"one of two rooms is refused":   {[]string{claims + `"7" "10" "3"`, claimed, both, atB, states, at, `"ping"`}, "", 1},
		"an old one lands with another": {[]string{claims + `"7" "10" "3"`, claimed, both, atB, states, at, states}, `room "a"`, 0},
		"an older leader": {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "10" "3"`, at, led("5"), commits + `"7" "10" "3"`, at,
			`[0 lua] "HSET" "rooms:fence:a" "version" "6" "lgen" "7" "lidx" "4"`}, "acted after the leader", 0},
	} {
		w := &Witness{rooms: map[string]*fence{}}
		for _, line := range c.lines {
			if !strings.HasPrefix(line, "[") {
				line = "[0 127.0.0.1:5000] " + line
			}
			w.see(parseMonitor("+1700000000.123456 " + line + "\r\n"))
		}
		said := strings.Join(w.Testimony().Problems, "; ")
		if (said == "") != (c.wrong == "") || !strings.Contains(said, c.wrong) || w.Testimony().Stale != c.stale {
			t.Errorf("%s: %q, %d stale; want %q, %d", name, said, w.Testimony().Stale, c.wrong, c.stale)
		}
	}
}

// TestHistoryKnowsWhatWasLost checks that an answer before its commit, or without one, is found.
func TestHistoryKnowsWhatWasLost(t *testing.T) {
	t.Parallel()
	entry := func(ms, kind, sid, data string) redis.XMessage {
		return redis.XMessage{ID: ms + "-0", Values: map[string]any{"room": "a", "type": kind, "sid": sid, "data": data}}
	}
	h, err := readHistory([]redis.XMessage{
		entry("1000", "room_snapshot", "", `{"sid":"RM_1","createdAt":900,"participants":[]}`),
		entry("2000", "participant_joined", "PA_1", `{"identity":"ada","sid":"PA_1","joinedAt":1990}`),
		entry("3000", "participant_left", "PA_1", ""),
		entry("4000", "room_started", "", `{"sid":"RM_2","createdAt":3900,"participants":[]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hook Webhook
		at   int64
		fine bool
	}{
		"a join":                      {Webhook{Event: "participant_joined", SID: "PA_1", Joined: 1990}, 2000, true},
		"a join answered too early":   {Webhook{Event: "participant_joined", SID: "PA_1", Joined: 1990}, 1999, false},
		"a join that is nowhere":      {Webhook{Event: "participant_joined", SID: "PA_2", Joined: 2500}, 2600, false},
		"the same, and outdated":      {Webhook{Event: "participant_joined", SID: "PA_2", Joined: 2500}, 4000, true},
		"a leave answered too early":  {Webhook{Event: "participant_left", SID: "PA_1", Joined: 1990}, 2999, false},
		"a leave of one never there":  {Webhook{Event: "participant_left", SID: "PA_3", Joined: 2500}, 2600, true},
		"a finish that is nowhere":    {Webhook{Event: "room_finished", RoomSID: "RM_1", Emitted: 3}, 3500, false},
		"a finish that spares one":    {Webhook{Event: "room_finished", RoomSID: "RM_1", Emitted: 1}, 3500, true},
		"a room that had not started": {Webhook{Event: "room_started", RoomSID: "RM_1"}, 999, false},
	} {
		c.hook.Room, c.hook.Created, c.hook.Answered, c.hook.Identity = "a", 900, time.UnixMilli(c.at), "ada"
		if err := h.covers(c.hook); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBalancer checks that a node that is not ready gets nothing, that one that refuses connections is passed over, and that one
// that breaks the connection causes a 502 without a retry.
func TestBalancer(t *testing.T) {
	t.Parallel()
	var ready, got, broken atomic.Int64
	fine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			got.Add(1)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer fine.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/readyz" && ready.Load() == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path != "/readyz":
			broken.Add(1)
			panic(http.ErrAbortHandler)
		}
	}))
	b := NewBalancer(t)
	b.Add(fine.URL)
	b.Add(other.URL)
	post := func() int {
		resp, err := http.Post(b.URL(), "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if said, _ := io.ReadAll(resp.Body); resp.StatusCode == http.StatusOK && string(said) != "body" {
			t.Errorf("it answered %q", said)
		}
		return resp.StatusCode
	}
	eventually.True(t, "the balancer sees it", func() bool { return len(b.Ready()) == 1 })
	for range 4 {
		if status := post(); status != http.StatusOK {
			t.Errorf("with one that is ready: %d", status)
		}
	}
	ready.Store(1)
	eventually.True(t, "the balancer sees it", func() bool { return len(b.Ready()) == 2 })
	statuses := map[int]int{}
	for range 4 {
		statuses[post()]++
	}
	if statuses[http.StatusOK] != 2 || statuses[http.StatusBadGateway] != 2 || broken.Load() != 2 || got.Load() != 6 {
		t.Errorf("with one that breaks off: %v, which saw %d of them", statuses, broken.Load())
	}
	other.Close() // its probe may not have noticed yet
	for range 4 {
		if status := post(); status != http.StatusOK {
			t.Errorf("with one that refuses connections: %d", status)
		}
	}
}

// TestOvertakenJoins checks that a join that came after its participant's end is covered by that end, and that a lost join is
// not.
func TestOvertakenJoins(t *testing.T) {
	t.Parallel()
	at := func(ms int64) time.Time { return time.UnixMilli(1_795_586_061_000 + ms) }
	join := Webhook{ID: "EV_1", Event: "participant_joined", Room: "r", SID: "PA_1", Identity: "ada", First: at(1000), Answered: at(1002)}
	left := Webhook{ID: "EV_2", Event: "participant_left", Room: "r", SID: "PA_1", Identity: "ada", First: at(500), Answered: at(503)}
	later := left
	later.First, later.Answered = at(2000), at(2002)
	for name, c := range map[string]struct {
		end  Webhook
		fine bool
	}{"the end came first": {left, true}, "the end came later": {later, false}} {
		problems, err := Acknowledged(nil, []Webhook{join, c.end})
		joins := slices.DeleteFunc(problems, func(p string) bool { return !strings.Contains(p, "EV_1") })
		if err != nil || (len(joins) == 0) != c.fine {
			t.Errorf("%s: %v, %v", name, joins, err)
		}
	}
}
