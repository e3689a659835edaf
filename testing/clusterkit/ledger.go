package clusterkit

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Webhook is one event of the fake LiveKit and its result, over all its attempts.
type Webhook struct {
	ID, Event, Room, RoomSID, SID, Identity string
	// Created is the room's creation time and Joined the participant's join time, in Unix ms. Emitted is the event's own time, in
	// Unix s.
	Created, Joined, Emitted int64
	// First is when its first attempt was sent, Answered when its 200 came, zero if none came.
	First, Answered time.Time
	// Failed holds the status of each attempt that did not end with a 200, 0 where there was no answer.
	Failed []int
}

// Unanswered returns how long the sender waited for the 200, over all attempts.
func (w Webhook) Unanswered() time.Duration { return w.Answered.Sub(w.First) }

// Ledger is the transport that the fake sends through. It records every attempt.
type Ledger struct {
	transport *http.Transport

	mu    sync.Mutex
	all   map[string]*Webhook
	tried map[string]time.Time // by room: when the last attempt began or ended
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger {
	return &Ledger{transport: &http.Transport{MaxIdleConnsPerHost: mostOpen}, all: map[string]*Webhook{}, tried: map[string]time.Time{}}
}

// All returns the webhooks so far, by the time of their first attempt.
func (l *Ledger) All() []Webhook {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Webhook
	for _, w := range l.all {
		one := *w
		one.Failed = slices.Clone(w.Failed)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Webhook) int { return a.First.Compare(b.First) })
	return all
}

// Tried returns the times of the last attempts, by room. No webhook about a room reached rollcall later than that.
func (l *Ledger) Tried() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tried)
}

// RoundTrip implements http.RoundTripper.
func (l *Ledger) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_ = req.Body.Close()
	out := req.Clone(req.Context())
	out.Body, out.GetBody = io.NopCloser(bytes.NewReader(body)), nil
	id := l.began(body)
	resp, err := l.transport.RoundTrip(out)
	if err != nil {
		l.ended(id, 0)
		return nil, err
	}
	l.ended(id, resp.StatusCode)
	return resp, nil
}

func (l *Ledger) began(body []byte) string {
	var e struct {
		ID, Event string
		CreatedAt int64 `json:",string"`
		Room      struct {
			Name, SID      string
			CreationTimeMs int64 `json:",string"`
		}
		Participant struct {
			SID, Identity string
			JoinedAtMs    int64 `json:",string"`
		}
	}
	_ = json.Unmarshal(body, &e) // the fake sends JSON
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[e.ID] == nil {
		l.all[e.ID] = &Webhook{ID: e.ID, Event: e.Event, Room: e.Room.Name, RoomSID: e.Room.SID, SID: e.Participant.SID,
			Identity: e.Participant.Identity, Created: e.Room.CreationTimeMs, Joined: e.Participant.JoinedAtMs, Emitted: e.CreatedAt, First: time.Now()}
	}
	l.tried[e.Room.Name] = time.Now()
	return e.ID
}

func (l *Ledger) ended(id string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.all[id]
	l.tried[w.Room] = time.Now()
	if status != http.StatusOK {
		w.Failed = append(w.Failed, status)
	} else if w.Answered.IsZero() {
		w.Answered = time.Now()
	}
}

// Summary sums up the webhooks of a period.
type Summary struct {
	Webhooks int
	// Retried counts those with a failed attempt, Lost those without any 200.
	Retried, Lost int
	// Statuses counts failed attempts; 0 means no answer.
	Statuses map[int]int
	// Median and Longest are of the times until a 200, over all attempts.
	Median, Longest time.Duration
	Slowest         Webhook
}

// Since sums up the webhooks that were unanswered at mark, or sent later.
func (l *Ledger) Since(mark time.Time) Summary {
	return Summarize(slices.DeleteFunc(l.All(), func(w Webhook) bool { return !w.Answered.IsZero() && w.Answered.Before(mark) }))
}

// Summarize sums up webhooks.
func Summarize(webhooks []Webhook) Summary {
	s := Summary{Statuses: map[int]int{}}
	var waits []time.Duration
	for _, w := range webhooks {
		s.Webhooks++
		for _, status := range w.Failed {
			s.Statuses[status]++
		}
		if len(w.Failed) > 0 {
			s.Retried++
		}
		if w.Answered.IsZero() {
			s.Lost++
			continue
		}
		waits = append(waits, w.Unanswered())
		if w.Unanswered() > s.Longest {
			s.Longest, s.Slowest = w.Unanswered(), w
		}
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		s.Median = waits[len(waits)/2]
	}
	return s
}
