package sim

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// pollsWait is a little less than the time after which a poll may contradict an event.
const pollsWait = 2900 // ms

// Settled watches a store for what looks do too early: a cycle that removes a participant that a webhook added within the lag and that is present,
// although a poll that an event asked for may remove it; and any look that brings back a participant within pollsWait after a webhook ended it.
type Settled struct {
	Fake *fakelivekit.Fake

	mu     sync.Mutex
	joined map[string]time.Time // by sid, when a webhook's commit added it
	ended  map[string]ending    // by sid, when a webhook's commit ended it
	stored map[string]uint64    // the last version of each room
	broken []string
}

// ending is the commit by which a webhook ended a participant. Its time is by its owner's clock, so only times under the same claim compare.
type ending struct {
	room  string
	claim reconcile.Claim
	at    int64 // Unix ms
}

// Watch is the store's Watch option.
func (s *Settled) Watch(script memstore.Script) {
	if script.Commit == nil || script.Commit.Version == script.Commit.Expect {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined == nil {
		s.joined, s.ended, s.stored = map[string]time.Time{}, map[string]ending{}, map[string]uint64{}
	}
	if script.Commit.Expect != s.stored[script.Room] { // the record was lost, with its tombstones: a look cannot know who ended
		maps.DeleteFunc(s.ended, func(_ string, e ending) bool { return e.room == script.Room })
	}
	s.stored[script.Room] = script.Commit.Version
	for _, change := range script.Commit.Story {
		joined, known := s.joined[change.SID]
		switch {
		case change.Type == reconcile.ParticipantJoined && script.Commit.Cause == reconcile.ByWebhook:
			s.joined[change.SID] = time.Now()
		case change.Type == reconcile.ParticipantLeft && script.Commit.Leader != (reconcile.Token{}) && known &&
			time.Since(joined) < Lag && s.there(script.Room, change.SID):
			s.broken = append(s.broken, fmt.Sprintf("room %q: %s takes out %s %v after a webhook brought it in, and it is there", script.Room,
				script.Commit.Cause, change.SID, time.Since(joined)))
		case change.Type == reconcile.ParticipantLeft && script.Commit.Cause == reconcile.ByWebhook:
			s.ended[change.SID] = ending{script.Room, script.Commit.Claim, script.Commit.Time}
		case change.Type == reconcile.ParticipantJoined && s.ended[change.SID].claim == script.Commit.Claim &&
			script.Commit.Time-s.ended[change.SID].at < pollsWait && !s.there(script.Room, change.SID):
			s.broken = append(s.broken, fmt.Sprintf("room %q: %s brings %s back %d ms after a webhook ended it, and it is not there", script.Room,
				script.Commit.Cause, change.SID, script.Commit.Time-s.ended[change.SID].at))
		}
	}
}

func (s *Settled) there(room, sid string) bool {
	return slices.ContainsFunc(s.Fake.Snapshot().Participants(room), func(p *livekit.ParticipantInfo) bool { return p.Sid == sid })
}

// Broken returns the violations so far.
func (s *Settled) Broken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}
