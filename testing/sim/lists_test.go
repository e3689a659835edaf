package sim

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lk "github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// stand is a node in a bubble that calls a fake LiveKit through the real client.
type stand struct {
	*testing.T
	fake  *fakelivekit.Fake
	store *memstore.Store
	node  *Node
	sink  *counts
}

// counts sums what the client's observer receives.
type counts struct{ requests, passedOver atomic.Int64 }

func (c *counts) observe(r livekit.Request) {
	c.requests.Add(1)
	c.passedOver.Add(int64(r.PassedOver))
}

func inStand(t *testing.T, lives fakelivekit.Options, asks livekit.Options, nodes int, test func(*stand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lives.EmptyTimeout, lives.DepartureTimeout = 1<<20, 1<<20
		s := &stand{T: t, fake: fakelivekit.New(lives), store: memstore.New(memstore.Options{Feed: true}), sink: &counts{}}
		defer s.fake.Close()
		asks.Host, asks.Key, asks.Secret = "livekit.test", fakelivekit.DefaultKey, fakelivekit.DefaultSecret
		if asks.Transport == nil {
			asks.Transport = fakelivekit.InProcess(s.fake)
		}
		asks.Observe = s.sink.observe
		client, err := livekit.New(asks)
		if err != nil {
			t.Fatal(err)
		}
		client.Share(nodes)
		if s.node, err = NewNode(1, s.store, client); err != nil {
			t.Fatal(err)
		}
		test(s)
		if err := s.node.Host.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

func (s *stand) populate(rooms int) {
	for i := range rooms {
		s.fake.Join(fmt.Sprintf("room-%04d", i), fakelivekit.Who{Identity: "a"})
	}
}

func (s *stand) sync() reconcile.Report {
	s.Helper()
	r, err := s.node.Sweep.Sync(context.Background(), s.node.Led, reconcile.Options{Scheduled: true})
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *stand) has(room string) bool {
	_, ok := s.store.Get(memstore.States, room)
	return ok
}

// live returns the number of rooms in Redis.
func (s *stand) live() int {
	names, err := s.store.Index(context.Background())
	if err != nil {
		s.Fatal(err)
	}
	return len(names)
}

func largeRoom() []byte {
	return entry(&lk.Room{Name: "large", Sid: "RM_x", CreationTime: 1, Metadata: strings.Repeat("m", 8<<20)})
}

// TestASyncPassesOverWhatItCannotRead checks that whatever a list contains, all other rooms are examined and repaired, and the
// report counts the rest.
func TestASyncPassesOverWhatItCannotRead(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		const rooms, spoiled = 1000, "room-0500"
		s.populate(rooms)
		bad, people := append(FaultyRooms(), largeRoom()), append(FaultyPeople(), Nameless())
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			switch {
			case c.Method == "ListRooms":
				return fakelivekit.APIFault{Entries: bad}
			case c.Room == spoiled:
				return fakelivekit.APIFault{Entries: people}
			}
			return fakelivekit.APIFault{}
		})
		r := s.sync()
		if want := len(bad) + len(people); r.PassedOver != want || r.PassedFirst == "" {
			t.Errorf("passed over %d (%s), want %d", r.PassedOver, r.PassedFirst, want)
		}
		// Rooms with a readable name are asked for as well.
		if named := len(bad) - 2; r.Synced != rooms+named || r.Errors != 0 || s.live() != rooms {
			t.Errorf("%d examined, %d errors (%s), %d rooms in Redis", r.Synced, r.Errors, r.Error, s.live())
		}
		if n := s.sink.passedOver.Load(); n < int64(r.PassedOver) {
			t.Errorf("the metric counts %d", n)
		}
		s.fake.DeleteRoom("room-0001")
		if r := s.sync(); r.Cleaned != 1 || s.has("room-0001") || s.live() != rooms-1 {
			t.Errorf("a room that has ended is still there: %+v", r)
		}
	})
}

// TestAnUnreadableEntryProtectsItsRoom checks that an unreadable entry protects its room, and no other, for as long as the entry
// is listed.
func TestAnUnreadableEntryProtectsItsRoom(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		s.populate(3)
		s.sync()
		s.fake.DeleteRoom("room-0000")
		s.fake.DeleteRoom("room-0001")
		entries := [][]byte{entry(&lk.Room{Name: "room-0001", CreationTime: 1})}
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			if c.Method != "ListRooms" {
				return fakelivekit.APIFault{}
			}
			return fakelivekit.APIFault{Entries: entries}
		})
		for range 5 {
			s.sync()
		}
		if s.has("room-0000") || !s.has("room-0001") || !s.has("room-0002") {
			t.Error("the entry does not protect its room alone")
		}
		s.fake.SetAPIFault(nil)
		if s.sync(); s.has("room-0001") {
			t.Error("the room stays although no entry protects it any more")
		}
	})
}

// TestAnUnreadableNameProtectsWhatTheListLacks checks that an unreadable name protects every room that is missing from the list,
// because it may be any of them. Rooms on the list are still repaired, and so are rooms that an answer by name alone would
// remove.
func TestAnUnreadableNameProtectsWhatTheListLacks(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		s.populate(3)
		s.fake.Join("room-0002", fakelivekit.Who{Identity: "b"})
		s.sync()
		s.fake.DeleteRoom("room-0000")
		s.fake.Leave("room-0002", "b")
		var calls atomic.Int64
		unreadable := [][]byte{UnreadableName()}
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			if calls.Add(1) == 1 && c.Method == "ListRooms" { // the list of all rooms
				return fakelivekit.APIFault{Entries: unreadable}
			}
			return fakelivekit.APIFault{}
		})
		if r := s.sync(); !s.has("room-0000") || r.Cleaned != 0 {
			t.Errorf("removed although a room that cannot be named may be it: %+v", r)
		}
		if v, _ := s.store.Get(memstore.Participants, "room-0002"); v != `["a"]` {
			t.Errorf("a room that the list has is not repaired: %s", v)
		}
		if s.sync(); s.has("room-0000") {
			t.Error("the room stays although every name can be read")
		}
	})
}

// TestManyRoomsWithMetadataAreSynced checks a large list: LiveKit's list of all rooms has no pages and carries each room's
// metadata, up to 64,000 bytes by default.
func TestManyRoomsWithMetadataAreSynced(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		const rooms = 1100
		for i := range rooms {
			s.fake.CreateRoom(&lk.CreateRoomRequest{Name: fmt.Sprintf("room-%04d", i), Metadata: strings.Repeat("m", 64_000)})
		}
		if r := s.sync(); r.Synced != rooms || r.Errors != 0 || s.live() != rooms {
			t.Errorf("%d examined, %d errors (%s), %d rooms in Redis", r.Synced, r.Errors, r.Error, s.live())
		}
	})
}
