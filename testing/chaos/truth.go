package chaos

import (
	"maps"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// stay is one participant's presence. From is when LiveKit had them active, To when they left; zero while they are present.
type stay struct {
	Room, Identity string
	From, To       time.Time
}

// truth is what really happened in the fake LiveKit: every participant by sid, with times, and each room's last change. It also
// decides the fates of the webhooks, because both follow the same events.
type truth struct {
	mu      sync.Mutex
	stays   map[string]*stay
	ends    map[string]time.Time // of rooms, by sid; zero while they live
	changed map[string]time.Time
	rule    func(fakelivekit.Event) fakelivekit.Fate
}

func newTruth() *truth {
	return &truth{stays: map[string]*stay{}, ends: map[string]time.Time{}, changed: map[string]time.Time{}}
}

// fate records an event and returns its fate. It is the rule for fakelivekit's SetFate.
func (t *truth) fate(e fakelivekit.Event) fakelivekit.Fate {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.changed[e.Room] = now
	if _, known := t.ends[e.RoomSid]; !known {
		t.ends[e.RoomSid] = time.Time{}
	}
	switch e.Name {
	case "room_finished":
		t.ends[e.RoomSid] = now
	case "participant_joined":
		t.stays[e.Sid] = &stay{Room: e.Room, Identity: e.Identity, From: now}
	case "participant_left":
		if s := t.stays[e.Sid]; s != nil && s.To.IsZero() {
			s.To = now
		}
	}
	if t.rule == nil {
		return fakelivekit.Fate{}
	}
	return t.rule(e)
}

// order sets the rule for the fates of all webhooks from now on; nil delivers them as LiveKit does.
func (t *truth) order(rule func(fakelivekit.Event) fakelivekit.Fate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rule = rule
}

// crashed ends all stays and all rooms: LiveKit died and nobody is present.
func (t *truth) crashed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, s := range t.stays {
		if s.To.IsZero() {
			s.To = now
		}
	}
	for sid, end := range t.ends {
		if end.IsZero() {
			t.ends[sid] = now
		}
	}
	for room := range t.changed {
		t.changed[room] = now
	}
}

// changes returns when each room last changed.
func (t *truth) changes() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.changed)
}

// roomEnds returns the rooms so far, by sid, and when they ended; zero for those that live.
func (t *truth) roomEnds() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.ends)
}

// all returns the stays so far, by sid.
func (t *truth) all() map[string]stay {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]stay, len(t.stays))
	for sid, s := range t.stays {
		all[sid] = *s
	}
	return all
}
