package fakelivekit

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Event is a webhook as a fault rule sees it, before it is queued. It must not be changed.
type Event struct {
	Name     string // such as "participant_left"
	Room     string
	RoomSid  string
	Identity string // "" for room events
	Sid      string // the participant's
	Nth      int    // counts the events since New, from 1
}

// Fate is what a test decides for one webhook. The zero value delivers it as the real server would. Durations are not scaled.
type Fate struct {
	Drop   bool          // never sent
	Copies int           // number of extra copies, sent right after the webhook
	Delay  time.Duration // waits at the head of its queue, and all later webhooks of the room wait too
	Late   time.Duration // leaves its queue and is sent on its own after this time, so that later events overtake it
	Hold   bool          // leaves its queue and is sent on its own at Release
}

// SetFate sets the rule that decides the fate of all webhooks from now on; nil ends the faults. The rule is called in the order
// of the events, under the server's lock, so it must not call the Fake.
func (f *Fake) SetFate(rule func(Event) Fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fate = rule
}

// Release sends the held webhooks, in the order of their events and without waiting for one another, and returns how many.
func (f *Fake) Release() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.held
	f.held = nil
	for _, l := range held {
		f.mail.enqueueLate(l, 0)
	}
	return len(held)
}

// Rates are probabilities (0 to 1) per webhook, and the longest times, which are not scaled.
type Rates struct {
	Drop, Copy, Delay, Late float64
	MaxDelay, MaxLate       time.Duration
}

// Chaos returns a rule for SetFate that draws from the seed. The same seed and the same events of a room, in the same order, give
// the same fates, whatever other rooms do.
func Chaos(seed uint64, rates Rates) func(Event) Fate {
	var mu sync.Mutex
	dice := map[string]*rand.Rand{}
	return func(e Event) Fate {
		mu.Lock()
		defer mu.Unlock()
		if dice[e.Room] == nil {
			dice[e.Room] = rand.New(rand.NewPCG(seed, hash(e.Room)))
		}
		d := dice[e.Room]
		fate := Fate{Drop: d.Float64() < rates.Drop}
		if d.Float64() < rates.Copy {
			fate.Copies = 1
		}
		if d.Float64() < rates.Delay {
			fate.Delay = time.Duration(d.Float64() * float64(rates.MaxDelay))
		}
		if d.Float64() < rates.Late {
			fate.Late = time.Duration(d.Float64() * float64(rates.MaxLate))
		}
		return fate
	}
}

// Call is an API call as a fault rule sees it.
type Call struct {
	Method string // such as "ListParticipants"
	Room   string // "" for ListRooms
}

// APIFault is what a test decides for one API call. The zero value answers correctly. Faults combine: a call can be slow and then
// fail.
type APIFault struct {
	Delay time.Duration   // answer after this time, not scaled
	Hang  bool            // never answer
	Code  twirp.ErrorCode // answer this error, such as twirp.Unavailable
	Empty bool            // lists are empty
	AsOf  *Snapshot       // lists are those of an earlier moment
	// Entries are appended to the list as raw bytes: each of a Room in ListRooms, of a ParticipantInfo in ListParticipants.
	Entries [][]byte
}

// SetAPIFault sets the rule that decides the fault of all API calls from now on; nil ends the faults. The rule must not call the
// Fake.
func (f *Fake) SetAPIFault(rule func(Call) APIFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = rule
}

// Snapshot is what the API would have listed at one moment. Tests compare with it, or serve it as a stale answer.
type Snapshot struct{ world world }

// Snapshot copies the present state.
func (f *Fake) Snapshot() *Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Snapshot{world: f.world.clone()}
}

// Rooms returns the rooms of these names, or all, by name. The caller may change them.
func (s *Snapshot) Rooms(names ...string) []*livekit.Room { return s.world.listRooms(names) }

// Participants returns a room's participants, in any state, by identity. A missing room has none.
func (s *Snapshot) Participants(room string) []*livekit.ParticipantInfo {
	return s.world.listParticipants(room)
}

// withEntries appends raw entries to a list, whether or not they decode.
func withEntries(list proto.Message, entries [][]byte) {
	const field = 1 // number of the field that holds the entries, in both lists
	var raw []byte
	for _, entry := range entries {
		raw = protowire.AppendBytes(protowire.AppendTag(raw, field, protowire.BytesType), entry)
	}
	list.ProtoReflect().SetUnknown(raw)
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}
