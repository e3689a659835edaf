package sim

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Settled watches a store for removals that a cycle makes too early: of a participant that a webhook added within the lag and
// that is present. A poll that an event asked for may remove it.
type Settled struct {
	Fake *fakelivekit.Fake

	mu     sync.Mutex
	joined map[string]time.Time // by sid, when a webhook's commit added it
	broken []string
}

// Watch is the store's Watch option.
func (s *Settled) Watch(script memstore.Script) {
	if script.Commit == nil || script.Commit.Version == script.Commit.Expect {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined == nil {
		s.joined = map[string]time.Time{}
	}
	for _, change := range script.Commit.Story {
		joined, known := s.joined[change.SID]
		switch {
		case change.Type == reconcile.ParticipantJoined && script.Commit.Cause == reconcile.ByWebhook:
			s.joined[change.SID] = time.Now()
		case change.Type == reconcile.ParticipantLeft && script.Commit.Leader != (reconcile.Token{}) && known &&
			time.Since(joined) < Lag && s.there(script.Room, change.SID):
			s.broken = append(s.broken, fmt.Sprintf("room %q: %s takes out %s %v after a webhook brought it in, and it is there", script.Room,
				script.Commit.Cause, change.SID, time.Since(joined)))
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
