package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// Reader reads what rollcall keeps in Redis, as an application would.
type Reader interface {
	// Rooms lists up to limit rooms by name from cursor on, and returns the cursor of the next page.
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
	// States returns the values of both keys, by room.
	States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error)
}

// Roster prints each change of the rooms:participants:* keys as a line.
type Roster struct {
	Redis Reader
	Out   io.Writer

	known map[string][]string
}

// Show prints changes until ctx ends.
func (r *Roster) Show(ctx context.Context) {
	r.known = map[string][]string{}
	for wait.For(ctx, 200*time.Millisecond) == nil {
		now, err := r.read(ctx)
		if err != nil {
			continue // Redis is away for a moment; the node itself logs that
		}
		r.compare(now)
	}
}

func (r *Roster) read(ctx context.Context) (map[string][]string, error) {
	names, _, err := r.Redis.Rooms(ctx, "", 1000, "")
	if err != nil {
		return nil, err // also for an incomplete list: its missing rooms would seem to be gone
	}
	present, _, err := r.Redis.States(ctx, names)
	if err != nil {
		return nil, err
	}
	now := map[string][]string{}
	for room, value := range present {
		var who []string
		if json.Unmarshal(value, &who) == nil {
			now[room] = who
		}
	}
	return now, nil
}

func (r *Roster) compare(now map[string][]string) {
	rooms := map[string]bool{}
	for room := range r.known {
		rooms[room] = true
	}
	for room := range now {
		rooms[room] = true
	}
	for room := range rooms {
		was, known := r.known[room]
		is, there := now[room]
		switch {
		case !there:
			r.line(room, "finished")
		case !known:
			r.line(room, "started   "+list(is))
		case !slices.Equal(was, is):
			r.line(room, changes(was, is)+"   "+list(is))
		}
	}
	r.known = now
}

func (r *Roster) line(room, what string) {
	fmt.Fprintf(r.Out, "%s  %-14s %s\n", time.Now().Format("15:04:05.0"), room, what)
}

func changes(was, is []string) string {
	var parts []string
	for _, who := range is {
		if !slices.Contains(was, who) {
			parts = append(parts, "+"+who)
		}
	}
	for _, who := range was {
		if !slices.Contains(is, who) {
			parts = append(parts, "-"+who)
		}
	}
	return fmt.Sprintf("%-12s", strings.Join(parts, " "))
}

func list(who []string) string { return "[" + strings.Join(who, " ") + "]" }
