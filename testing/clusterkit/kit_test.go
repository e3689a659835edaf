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
)

// The kit's own parts must be able to say no.

// TestWitness plays what Redis would show of scripts, and of what they wrote.
func TestWitness(t *testing.T) {
	t.Parallel()
	const (
		claims  = `"evalsha" "sha" "3" "rooms:fence:a" "p" "s" `
		commits = `"evalsha" "sha" "4" "rooms:fence:a" "p" "s" "f" `
		claimed = `[0 lua] "HSET" "rooms:fence:a" "gen" "7"`
	)
	version := func(n string) string { return `[0 lua] "HSET" "rooms:fence:a" "version" "` + n + `" "sid" "RM_\x00"` }
	for name, c := range map[string]struct {
		lines []string
		wrong string // in the one problem; "" for none
		stale int
	}{
		"in order": {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "10" "3"`, version("1"), commits + `"7" "10" "3"`, version("2")}, "", 0},
		"refused":  {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "9" "2"`, `"ping"`}, "", 1},
		"an old one lands": {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "9" "2"`, `[0 lua] "SET" "rooms:states:a" "{}"`},
			"landed after the claim", 0},
		"a version again":  {[]string{claims + `"7" "10" "3"`, claimed, commits + `"7" "10" "3"`, version("2"), commits + `"7" "10" "3"`, version("2")}, "follows version 2", 0},
		"without a claim":  {[]string{commits + `"7" "10" "3"`, version("1")}, "follows version 0", 0},
		"two of one claim": {[]string{claims + `"7" "10" "3"`, claimed, claims + `"7" "10" "4"`, claimed}, "stands beside", 0},
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

// TestHistoryKnowsWhatWasLost: an answer that came before its commit, or without one, is found.
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

// TestBalancer: who is not ready gets nothing; who refuses connections is passed over; who breaks off makes a 502, and the
// request is not sent again.
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
	await(t, func() bool { return len(b.Ready()) == 1 })
	for range 4 {
		if status := post(); status != http.StatusOK {
			t.Errorf("with one that is ready: %d", status)
		}
	}
	ready.Store(1)
	await(t, func() bool { return len(b.Ready()) == 2 })
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

func await(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v", patience)
		}
	}
}

// TestOvertakenJoins: a join that came after the news of its end is covered by that; one that was lost is not.
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
