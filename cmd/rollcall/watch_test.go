package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// stop ends a command once a line has been printed.
type stop struct {
	mu   sync.Mutex
	out  bytes.Buffer
	line string
	end  context.CancelFunc
}

func (s *stop) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out.Write(p); strings.Contains(s.out.String(), s.line) {
		s.end()
	}
	return len(p), nil
}

const stream = `event: leader
data: {"leader":"n1","term":3,"epoch":12}

event: members
data: {"epoch":12,"members":["n1","n2"]}

event: service
data: {"running":true}

id: 1-0
event: change
data: {"room":"a\nb","type":"participant_joined","identity":"ada","sid":"PA_1","cause":"webhook","version":2,"time":1795399866530,"data":null}

id: 2-0
event: change
data: {"room":"r","type":"room_finished","identity":"","sid":"RM_1","cause":"sync","version":3,"time":1795399867530,"data":null}

event: redis
data: {"state":"silent"}

event: redis
data: {"state":"ok"}

event: sync
data: {"startedAt":"2026-11-23T10:44:18Z","durationMs":3,"scheduled":true,"result":{"synced":9,"errors":0,"cleaned":1},"changed":1}

event: sync
data: {"startedAt":"2026-11-23T10:44:18Z","durationMs":3,"scheduled":true,"result":{"synced":9,"errors":0,"cleaned":0},"changed":0}

event: service
data: {"running":false}

`

const wellStatus = `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","leader":"n1"}`

func watching(t *testing.T, until string, args ...string) string {
	t.Helper()
	return watchingNode(t, wellStatus, stream, until, args...)
}

// watchingNode watches a node with that status and that stream, until a line is printed.
func watchingNode(t *testing.T, status, stream, until string, args ...string) string {
	t.Helper()
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/events" {
			fmt.Fprint(w, status)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, stream)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer node.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stop{line: until, end: cancel}
	var errs bytes.Buffer
	err := runWith(ctx, deps{}, append([]string{"watch", "--addr", node.URL}, args...), nil, out, &errs)
	if code := report(&errs, err); code != exitDone || errs.Len() > 0 {
		t.Errorf("exit %d: %s", code, &errs)
	}
	return out.out.String()
}

// arrival matches the beginning of a line whose time is not known before.
var arrival = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z  (leader|members|schedule|sync|cleanup|redis|now) `)

func TestWatch(t *testing.T) {
	t.Parallel()
	want := `TIME  leader    n1, term 3
TIME  members   n1, n2
TIME  schedule  the schedule is running
2026-11-23 02:11:06.530Z  joined    "a\nb"            ada
2026-11-23 02:11:07.530Z  finished  r                 (by sync)
TIME  redis     Redis does not answer
TIME  redis     Redis answers
TIME  sync      9 rooms compared, 1 differed, 1 removed, no errors
TIME  schedule  the schedule is stopped
`
	if got := arrival.ReplaceAllString(watching(t, "stopped"), "TIME  $1 "); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	got := watching(t, `"running":false`, "--json")
	if lines := strings.Split(strings.TrimSpace(got), "\n"); len(lines) != 10 || !strings.Contains(lines[3], `"id":"1-0"`) {
		t.Errorf("as JSON:\n%s", got)
	}
}

// TestWatchShowsWhatIsHeld checks that watch says what the breaker holds: as it begins, with each scheduled cycle, and when it is released.
func TestWatchShowsWhatIsHeld(t *testing.T) {
	t.Parallel()
	report := func(name, rest string) string {
		return "event: " + name + "\ndata: {\"startedAt\":\"2026-11-23T10:44:18Z\",\"scheduled\":true,\"result\":{\"synced\":0,\"errors\":0,\"cleaned\":0},\"changed\":0," + rest + "}\n\n"
	}
	held := func(cycles int) string {
		return fmt.Sprintf(`"held":{"rooms":12,"participants":1,"cycles":%d}`, cycles)
	}
	const none = `"held":{"rooms":0,"participants":0,"cycles":0}`
	status := `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","leader":"n1","lastSync":{` + held(1) + `}}`
	got := watchingNode(t, status, report("sync", held(1))+report("sync", held(2))+report("sync", none+`,"fault":"livekit_silent"`)+
		report("cleanup", held(2))+report("sync", none)+report("sync", none)+"event: service\ndata: {\"running\":false}\n\n", "stopped")
	want := `TIME  now       The breaker holds removals
TIME  sync      HELD: 12 rooms and 1 participant are gone from LiveKit and are kept; 1 of 3 scheduled syncs agree (rollcall status: what to do)
TIME  sync      HELD: 12 rooms and 1 participant are gone from LiveKit and are kept; 2 of 3 scheduled syncs agree (rollcall status: what to do)
TIME  cleanup   HELD: 12 rooms and 1 participant are gone from LiveKit and are kept; 2 of 3 scheduled syncs agree (rollcall status: what to do)
TIME  sync      RELEASED: nothing is held any more
TIME  schedule  the schedule is stopped
`
	if got = arrival.ReplaceAllString(got, "TIME  $1 "); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWatchSaysWhatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	err := runWith(t.Context(), deps{}, []string{"watch", "--addr", "127.0.0.1:1"}, nil, &out, &errs)
	if code := report(&errs, err); code != exitFailed || !strings.Contains(errs.String(), "nothing listens") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}
