package fakelivekit_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livekit/protocol/livekit"

	. "github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// lines returns a room's webhooks as short texts: the event, the identity, and the reason.
func lines(receiver *Receiver, room string) []string {
	synctest.Wait()
	var list []string
	for _, d := range receiver.Deliveries(room) {
		line := d.Event.Event
		if p := d.Event.Participant; p != nil {
			line += " " + p.Identity
			if p.DisconnectReason != 0 {
				line += " " + p.DisconnectReason.String()
			}
		}
		list = append(list, line)
	}
	return list
}

func expect(t *testing.T, receiver *Receiver, room string, want ...string) {
	t.Helper()
	if got := lines(receiver, room); !slices.Equal(got, want) {
		t.Errorf("room %q got\n %q, want\n %q", room, got, want)
	}
}

func TestKillLeavesAfterItsTimeout(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.Kill("r", "a")
		time.Sleep(18 * time.Second)
		expect(t, receiver, "r", "room_started", "participant_joined a")
		if people := fake.Snapshot().Participants("r"); len(people) != 1 || people[0].State != livekit.ParticipantInfo_ACTIVE {
			t.Errorf("a killed client is not listed as ACTIVE: %v", people)
		}
		time.Sleep(2 * time.Second)
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_left a CONNECTION_TIMEOUT")
		time.Sleep(20 * time.Second)
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_left a CONNECTION_TIMEOUT", "room_finished")
	})
}

func TestRejoinAfterKillIsADuplicate(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		old := fake.Join("r", Who{Identity: "a"})
		fake.Kill("r", "a")
		sid := fake.Join("r", Who{Identity: "a"})
		time.Sleep(time.Minute)
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_left a DUPLICATE_IDENTITY", "participant_joined a")
		got := receiver.Deliveries("r")
		if got[2].Event.Participant.Sid != old || got[3].Event.Participant.Sid != sid || old == sid {
			t.Errorf("the sids are not the old and the new one")
		}
	})
}

func TestConnectAbortsOrActivates(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Connect("r", Who{Identity: "slow"})
		fake.Connect("r", Who{Identity: "ghost"})
		if p := fake.Snapshot().Participants("r"); len(p) != 2 || p[0].State != livekit.ParticipantInfo_JOINED {
			t.Errorf("not listed as JOINED: %v", p)
		}
		time.Sleep(10 * time.Second)
		fake.Activate("r", "slow")
		time.Sleep(time.Minute)
		expect(t, receiver, "r", "room_started", "participant_joined slow", "participant_connection_aborted ghost JOIN_FAILURE")
	})
}

func TestRestarts(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.Join("r", Who{Identity: "b"})
		synctest.Wait()
		before := fake.Snapshot()
		fake.Crash()
		if fake.Join("r", Who{Identity: "c"}) != "" {
			t.Error("a join worked while down")
		}
		fake.Start(true)
		time.Sleep(time.Hour)
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_joined b")
		fake.Join("r", Who{Identity: "a"})
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_joined b", "room_started", "participant_joined a")
		got := receiver.Deliveries("r")
		if got[3].Event.Room.Sid != before.Rooms()[0].Sid {
			t.Error("a kept room has another sid")
		}
		if n := len(fake.Snapshot().Participants("r")); n != 2 {
			t.Errorf("%d listed, want a and the phantom b", n)
		}
		fake.Crash()
		fake.Start(false)
		if len(fake.Snapshot().Rooms()) != 0 {
			t.Error("a server without a store kept rooms")
		}
	})
}

func TestCrashLosesTheQueue(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		receiver.SetAnswer(func(Delivery) Answer { return Answer{Status: 500} })
		fake.Join("r", Who{Identity: "a"})
		time.Sleep(2 * time.Second)
		fake.Crash()
		fake.Start(false)
		time.Sleep(time.Minute)
		expect(t, receiver, "r", "room_started", "room_started")
		if stats := fake.Stats(); stats.Crashed != 2 || stats.Waiting != 0 {
			t.Errorf("%+v, want both lost", stats)
		}
	})
}

func TestShutdownTellsWhatItCan(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.Shutdown(time.Second)
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_left a SERVER_SHUTDOWN", "room_finished")
	})
}

func TestDeleteRacedResurrectsTheSid(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.DeleteRoomRaced("r")
		fake.Join("r", Who{Identity: "b"})
		expect(t, receiver, "r", "room_started", "participant_joined a", "room_started", "participant_left a ROOM_DELETED",
			"room_finished", "participant_joined b")
		s := fake.Snapshot()
		if len(s.Rooms("r")) != 0 || len(s.Participants("r")) != 1 {
			t.Error("the room should be known to ListParticipants only")
		}
	})
}

func TestMetadataHasNoWebhook(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.SetMetadata("r", "a", "new")
		fake.SetRoomMetadata("r", "newer")
		time.Sleep(10 * time.Second)
		expect(t, receiver, "r", "room_started", "participant_joined a")
		s := fake.Snapshot()
		if p := s.Participants("r")[0]; p.Metadata != "new" || p.Version != 3 || s.Rooms()[0].Metadata != "newer" {
			t.Errorf("%v", p)
		}
	})
}

func TestPhantomStaysWithoutAWord(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		fake.Join("r", Who{Identity: "b"})
		fake.Phantom("r", "a")
		time.Sleep(time.Hour)
		if fake.Leave("r", "a") || len(fake.Snapshot().Participants("r")) != 2 {
			t.Error("a phantom left")
		}
		fake.Join("r", Who{Identity: "a"})
		expect(t, receiver, "r", "room_started", "participant_joined a", "participant_joined b", "participant_joined a")
	})
}

func TestDownServerRefuses(t *testing.T) {
	fake := New(Options{})
	defer fake.Close()
	fake.Crash()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://livekit/twirp/livekit.RoomService/ListRooms", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := InProcess(fake).RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
}
