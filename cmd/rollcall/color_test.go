package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// terminal opens a terminal for a command to write to. The returned function closes it and returns what was written.
func terminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	return tty, collect(t, screen, tty)
}

// pipe does the same as terminal, with a pipe instead.
func pipe(t *testing.T) (*os.File, func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return w, collect(t, r, w)
}

func collect(t *testing.T, from, to *os.File) func() string {
	var seen bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(&seen, from) // reading from a closed terminal ends with an error
	}()
	t.Cleanup(func() { to.Close(); from.Close() })
	return func() string {
		to.Close()
		<-ended
		return strings.ReplaceAll(seen.String(), "\r\n", "\n")
	}
}

// shows runs a command that writes to what open opens.
func shows(t *testing.T, open func(*testing.T) (*os.File, func() string), environ []string, args ...string) string {
	t.Helper()
	out, read := open(t)
	var errs bytes.Buffer
	ctx, end := context.WithCancel(t.Context())
	defer end()
	report(&errs, runWith(ctx, deps{}, args, environ, out, &errs))
	if strings.Contains(errs.String(), "\x1b") {
		t.Errorf("%q colours its errors: %q", args, &errs)
	}
	return read()
}

var colouring = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// TestColourIsForPeople checks that highlighted words are coloured on a terminal and nowhere else, and that the text is the
// same.
func TestColourIsForPeople(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		request, answer, args string
		want                  []string
	}{
		{"GET /api/sync-rooms", statusAnswer, "status", []string{"\x1b[32mrunning", "\x1b[31m2 ERRORS", "\x1b[33mHELD"}},
		{"GET /api/sync-rooms", stoppedAnswer, "status", []string{"\x1b[31mSTOPPED", "\x1b[31mNONE"}},
		{"GET /api/cluster", clusterAnswer, "cluster", []string{"\x1b[32mready", "\x1b[31m! unreachable", "\x1b[33maway"}},
		{"GET /api/drift?limit=50", driftAnswer, "drift", []string{"\x1b[32mmissed join"}},
		{`POST /api/sync-rooms {"action":"sync","dryRun":true}`, `{"action":"sync","result":{"synced":4,"errors":0,"cleaned":0},` + wouldChange + `}`,
			"sync --dry-run", []string{"\x1b[31mparticipant_left", "\x1b[31mroom_finished"}},
		{"GET /api/rooms/r/timeline", timelineAnswer, "room r --timeline", []string{"\x1b[32mparticipant_joined"}},
	} {
		args := strings.Fields(tt.args)
		node := newNode(t, map[string]string{tt.request: tt.answer})
		environ := []string{"ROLLCALL_ADDR=" + node.URL, "ROLLCALL_TOKEN=" + testToken, "TERM=xterm"}
		coloured, piped := shows(t, terminal, environ, args...), shows(t, pipe, environ, args...)
		for _, want := range tt.want {
			if !strings.Contains(coloured, want) {
				t.Errorf("rollcall %s: no %q on a terminal:\n%q", tt.args, want, coloured)
			}
		}
		if bare := colouring.ReplaceAllString(coloured, ""); bare != piped || !strings.Contains(piped, "\n") {
			t.Errorf("rollcall %s: on a terminal, but for colours,\n%s\nand in a pipe\n%s", tt.args, bare, piped)
		}
		for why, got := range map[string]string{
			"a pipe":    piped,
			"NO_COLOR":  shows(t, terminal, append(environ, "NO_COLOR=1"), args...),
			"TERM=dumb": shows(t, terminal, append(environ, "TERM=dumb"), args...),
			"--json":    shows(t, terminal, environ, append(args, "--json")...),
		} {
			if strings.Contains(got, "\x1b") || got == "" {
				t.Errorf("rollcall %s: %s: %q", tt.args, why, got)
			}
		}
	}
}

func TestWatchColoursWhoComesAndGoes(t *testing.T) {
	t.Parallel()
	got := ""
	for line := range strings.Lines(watchingOn(t, terminal)) {
		if colouring.MatchString(line) {
			got += arrival.ReplaceAllString(line, "TIME  $1 ")
		}
	}
	want := "TIME  schedule  the schedule is \x1b[32mrunning\x1b[0m\n2026-11-23 02:11:06.530Z  \x1b[32mjoined  \x1b[0m  \"a\\nb\"            ada\n" +
		"2026-11-23 02:11:07.530Z  \x1b[31mfinished\x1b[0m  r                 (by sync)\nTIME  redis     \x1b[31mRedis does not answer\x1b[0m\nTIME  redis     Redis \x1b[32manswers\x1b[0m\nTIME  schedule  the schedule is \x1b[31mstopped\x1b[0m\n"
	if got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if piped := watchingOn(t, pipe); colouring.MatchString(piped) || !strings.Contains(piped, "joined") {
		t.Errorf("in a pipe: %q", piped)
	}
}

// watchingOn returns what watch writes to what open opens, until its node ends the stream and stops.
func watchingOn(t *testing.T, open func(*testing.T) (*os.File, func() string)) string {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	asked := 0
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/events" {
			fmt.Fprint(w, wellStatus)
			return
		}
		if asked++; asked > 1 {
			end() // it has read everything, or it would not ask again
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, stream)
	}))
	defer node.Close()
	out, read := open(t)
	var errs bytes.Buffer
	if code := report(&errs, runWith(ctx, deps{}, []string{"watch", "--addr", node.URL}, nil, out, &errs)); code != exitDone {
		t.Errorf("exit %d: %s", code, &errs)
	}
	return read()
}
