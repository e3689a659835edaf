package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// eventsSilence is how long a stream may be silent before it counts as dead; a node sends something every 15 s.
	eventsSilence = 45 * time.Second
	// The shortest and longest wait before a connection is tried again.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
	// maxEvent limits the size of an event, in bytes.
	maxEvent = 64 << 20
)

// Event is one event of a node's stream. Exactly one of the pointers is set, or
// Connected is true.
type Event struct {
	// Connected means that the stream has begun, or has begun again after a break. What happened meanwhile follows, as far
	// as the feed still has it.
	Connected bool

	// ID is the id of a change; pass it as EventsQuery.After to continue after it.
	ID      string
	Change  *Change
	Leader  *Leader
	Members *Members
	Service *Service
	// Redis has the State of Status.Redis, whenever that changes, and nothing else.
	Redis *Dependency
	// Sync and Cleanup are reports of cycles that have ended.
	Sync, Cleanup *Report
}

// Change is one change of a room. Time is in Unix milliseconds.
type Change struct {
	Room     string `json:"room"`
	Type     string `json:"type"`
	Identity string `json:"identity"`
	SID      string `json:"sid"`
	Cause    string `json:"cause"`
	Version  uint64 `json:"version"`
	Time     int64  `json:"time"`
	// Data is the participant or the room, as in the change feed; null if there is none, or if it is too large to pass on.
	Data json.RawMessage `json:"data"`
	// Reason, JoinedAt and LeftAt are set for a participant_left only: LiveKit's DisconnectReason by name (UNKNOWN_REASON if
	// it gave none), and when the participant joined and left, in Unix milliseconds.
	Reason   string `json:"reason,omitempty"`
	JoinedAt int64  `json:"joinedAt,omitempty"`
	LeftAt   int64  `json:"leftAt,omitempty"`
}

// Leader names the leading node; the name is empty while there is none.
type Leader struct {
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	Epoch  uint64 `json:"epoch"`
}

// Members are the nodes that own rooms.
type Members struct {
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"`
}

// Service is the switch of the schedule.
type Service struct {
	Running bool `json:"running"`
}

// EventsQuery selects events.
type EventsQuery struct {
	// Room restricts them to the changes of one room.
	Room string
	// After is the id of the last change that the caller has; empty means from now on.
	After string
}

// Events yields events as they happen, until ctx ends or the caller stops. If a stream breaks or a node stops, Events
// connects again and continues after the last change. An error is the last thing that it yields: ctx's, an *Error of a node
// that refuses permanently (status 4xx), or ErrNotRollcall. The http.Client must have no Timeout.
func (c *Client) Events(ctx context.Context, q EventsQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for wait := firstRetry; ; {
			began, err := c.watch(ctx, &q, yield)
			if errors.Is(err, errStopped) {
				return
			}
			var refused *Error
			if ctx.Err() != nil {
				yield(Event{}, ctx.Err())
				return
			}
			if errors.Is(err, ErrNotRollcall) {
				yield(Event{}, err)
				return
			}
			if errors.As(err, &refused) {
				if refused.Status < http.StatusInternalServerError {
					yield(Event{}, err)
					return
				}
				wait = max(wait, refused.RetryAfter)
			}
			if began {
				wait = firstRetry
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			wait = min(2*wait, lastRetry)
		}
	}
}

// errStopped means that the caller wants no more events.
var errStopped = errors.New("stopped")

// watch reads one connection. It keeps its position in q and reports whether the stream began.
func (c *Client) watch(ctx context.Context, q *EventsQuery, yield func(Event, error) bool) (began bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(eventsSilence, cancel)
	defer silence.Stop()
	resp, err := c.openEvents(ctx, *q)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	silence.Stop() // the caller may take any time
	if !yield(Event{Connected: true}, nil) {
		return true, errStopped
	}
	silence.Reset(eventsSilence)
	lines := bufio.NewReader(resp.Body)
	for {
		block, err := readBlock(lines, func() { silence.Reset(eventsSilence) })
		if err != nil {
			return true, err
		}
		if block.id != "" {
			q.After = block.id // even if no event comes with it
		}
		event, ok, err := block.event()
		if err != nil {
			return true, err
		}
		if !ok {
			continue
		}
		silence.Stop() // as above
		if !yield(event, nil) {
			return true, errStopped
		}
		silence.Reset(eventsSilence)
	}
}

func (c *Client) openEvents(ctx context.Context, q EventsQuery) (*http.Response, error) {
	params := url.Values{}
	if q.Room != "" {
		params.Set("room", q.Room)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+withQuery("/api/events", params), nil)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if q.After != "" {
		req.Header.Set("Last-Event-ID", q.After)
	}
	resp, err := c.roundTrip(req, "text/event-stream")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode < 400 {
		return nil, fmt.Errorf("%w: no stream of events", ErrNotRollcall)
	}
	return nil, refusal(resp, data)
}

// block is one event as it is written in the stream.
type block struct {
	id, name string
	data     []byte
}

// readBlock reads up to the next empty line; it calls heard for every line.
func readBlock(lines *bufio.Reader, heard func()) (block, error) {
	var b block
	size := 0
	for {
		line, err := readLine(lines, maxEvent-size)
		if err != nil {
			return b, err
		}
		heard()
		size += len(line)
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "":
			if len(line) == 0 {
				return b, nil
			} // else a comment
		case "id":
			b.id = string(value)
		case "event":
			b.name = string(value)
		case "data":
			b.data = append(b.data, value...)
		}
	}
}

func readLine(lines *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, more, err := lines.ReadLine()
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		if line = append(line, part...); len(line) > limit {
			return nil, fmt.Errorf("%w: an event without end", ErrNotRollcall)
		}
		if !more {
			return line, nil
		}
	}
}

// event decodes the block. It returns false for a comment, or for an event of an unknown kind.
func (b block) event() (Event, bool, error) {
	e := Event{ID: b.id}
	var to any
	switch b.name {
	case "change":
		e.Change = &Change{}
		to = e.Change
	case "leader":
		e.Leader = &Leader{}
		to = e.Leader
	case "members":
		e.Members = &Members{}
		to = e.Members
	case "service":
		e.Service = &Service{}
		to = e.Service
	case "redis":
		e.Redis = &Dependency{}
		to = e.Redis
	case "sync":
		e.Sync = &Report{}
		to = e.Sync
	case "cleanup":
		e.Cleanup = &Report{}
		to = e.Cleanup
	default:
		return e, false, nil
	}
	if err := json.Unmarshal(b.data, to); err != nil {
		return e, false, fmt.Errorf("%w: %w", ErrNotRollcall, err)
	}
	return e, true, nil
}
