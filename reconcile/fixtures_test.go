package reconcile

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// wireEvent is the part of a captured body that the package uses.
type wireEvent struct {
	Event     string `json:"event"`
	ID        string `json:"id"`
	CreatedAt int64  `json:"createdAt,string"`
	Room      struct {
		SID             string `json:"sid"`
		Name            string `json:"name"`
		CreationTimeMs  int64  `json:"creationTimeMs,string"`
		MaxParticipants uint32 `json:"maxParticipants"`
		Metadata        string `json:"metadata"`
	} `json:"room"`
	Participant struct {
		SID        string            `json:"sid"`
		Identity   string            `json:"identity"`
		Name       string            `json:"name"`
		JoinedAtMs int64             `json:"joinedAtMs,string"`
		Metadata   string            `json:"metadata"`
		Attributes map[string]string `json:"attributes"`
		Kind       string            `json:"kind"`
		Version    uint32            `json:"version"`
		Permission struct {
			Hidden bool `json:"hidden"`
		} `json:"permission"`
	} `json:"participant"`
}

var wireKinds = map[string]EventKind{"room_started": Started, "room_finished": Finished, "participant_joined": Joined,
	"participant_left": Left, "participant_connection_aborted": Aborted, "track_published": Track, "track_unpublished": Track}

func parse(t *testing.T, d fixtures.Delivery) Event {
	t.Helper()
	var w wireEvent
	if err := json.Unmarshal(d.Body, &w); err != nil {
		t.Fatal(err)
	}
	kind, ok := wireKinds[w.Event]
	if !ok {
		t.Fatalf("an event that the table does not know: %s", w.Event)
	}
	p := w.Participant
	return Event{ID: w.ID, Kind: kind, CreatedAt: w.CreatedAt,
		Room: RoomInfo{Name: w.Room.Name, SID: w.Room.SID, CreatedMs: w.Room.CreationTimeMs,
			MaxParticipants: w.Room.MaxParticipants, Metadata: w.Room.Metadata},
		Participant: Participant{SID: p.SID, Identity: p.Identity, Name: p.Name, JoinedAt: p.JoinedAtMs, Metadata: p.Metadata,
			Attributes: p.Attributes, Kind: p.Kind, Hidden: p.Permission.Hidden, Version: p.Version}}
}

// rooms returns a folder's events by room, and the truth after all of them: who joined last and did not leave, in a room
// that did not finish after its last start.
func rooms(t *testing.T, f fixtures.Folder) (map[string][]Event, map[string]truth) {
	events, truths := map[string][]Event{}, map[string]truth{}
	for _, d := range f.Deliveries {
		e := parse(t, d)
		events[e.Room.Name] = append(events[e.Room.Name], e)
	}
	for name, list := range events {
		truths[name] = outcome(list)
	}
	return events, truths
}

func outcome(list []Event) truth {
	newest := slices.MaxFunc(list, func(a, b Event) int { return cmp.Compare(a.Room.CreatedMs, b.Room.CreatedMs) }).Room
	listed, people := false, map[string]Participant{}
	for _, e := range list {
		if e.Room.SID != newest.SID {
			continue
		}
		switch e.Kind {
		case Started:
			listed = true
		case Finished:
			listed = false
		case Joined:
			people[e.Participant.SID] = e.Participant
		case Left, Aborted:
			delete(people, e.Participant.SID)
		}
	}
	var t truth
	if listed {
		t.listed = &newest
	}
	for _, p := range people {
		t.people = append(t.people, p)
	}
	return t
}

// TestFixturesInRecordedOrder delivers each captured room in order and makes the polls that are asked for. A sync then finds
// nothing to repair.
func TestFixturesInRecordedOrder(t *testing.T) {
	for _, f := range fixtures.Load(t) {
		t.Run(f.Name, func(t *testing.T) {
			events, truths := rooms(t, f)
			for name, list := range events {
				r, end := newRig(t), truths[name]
				for _, e := range list {
					r.do(e)
					noSecrets(t, r.room)
				}
				if len(r.asked) > 0 {
					r.settle(end)
				}
				if p := r.cycle(1, end.listed, end.people...); len(p.Changes) > 0 || len(p.Tally.Drift) > 0 {
					t.Errorf("room %q: the sync still changes %+v, drift %v", name, p.Changes, p.Tally.Drift)
				}
				if why := end.differs(r.room); why != "" {
					t.Errorf("room %q: %s", name, why)
				}
			}
		})
	}
}

// TestFixturesShuffled delivers each captured room in random orders. The room is right in the end, and never has a ghost.
func TestFixturesShuffled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range fixtures.Load(t) {
		t.Run(f.Name, func(t *testing.T) {
			events, truths := rooms(t, f)
			for name, list := range events {
				for range 200 {
					random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
					shuffled(t, name, list, truths[name])
				}
			}
		})
	}
}

func shuffled(t *testing.T, name string, list []Event, end truth) {
	r := newRig(t)
	r.strict = false
	for _, e := range list {
		r.do(e)
	}
	if ghosts := end.ghosts(r.room); ghosts != "" {
		t.Errorf("room %q: %s left and came back", name, ghosts)
	}
	if why := end.differs(r.room); why != "" && len(r.asked) == 0 {
		t.Errorf("room %q: %s, and no poll was asked for", name, why)
	}
	r.cycle(1, end.listed, end.people...)
	if why := end.differs(r.room); why != "" {
		t.Errorf("room %q: %s after a cycle", name, why)
	}
}

func noSecrets(t *testing.T, r *Room) {
	t.Helper()
	texts := []string{mustJSON(t, r.Record)}
	if r.State != nil {
		texts = append(texts, string(r.State.JSON(r.Room)))
	}
	for _, text := range texts {
		if strings.Contains(text, fixtures.Secret) {
			t.Errorf("the secret is in %s", text)
		}
	}
}

// This is the captured race: a finish ties with a join into the finished sid. LiveKit lists the participant to the end and never lists
// the room.
func TestResurrectedSIDOfTheFixture(t *testing.T) {
	r := newRig(t)
	var alice Participant
	for _, d := range fixtures.Get(t, "recreate-race-resurrected-sid").Deliveries {
		e := parse(t, d)
		if e.Kind == Left && e.Participant.SID == alice.SID {
			if r.cycle(1, nil, alice); r.room.State.Find(alice.SID) == nil {
				t.Error("a sync removes a participant whom ListParticipants shows")
			}
		}
		p := r.do(e)
		if e.Kind == Joined {
			if alice = e.Participant; r.room.State.Find(alice.SID) == nil {
				t.Fatalf("%s is not admitted", alice.SID)
			}
		}
		if mark := r.room.Instance.FinishedAt; e.Kind == Joined && mark != 0 {
			wantAsk(t, p, "has ended", alice.SID)
		}
	}
	r.want("-")
}
