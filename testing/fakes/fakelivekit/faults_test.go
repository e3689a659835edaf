package fakelivekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	. "github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

func TestFates(t *testing.T) {
	for _, c := range []struct {
		name string
		fate Fate // of a's participant_left
		want []string
	}{
		{"none", Fate{}, []string{"participant_left a CLIENT_INITIATED", "participant_joined b"}},
		{"drop", Fate{Drop: true}, []string{"participant_joined b"}},
		{"copy", Fate{Copies: 1}, []string{"participant_left a CLIENT_INITIATED", "participant_left a CLIENT_INITIATED", "participant_joined b"}},
		{"delay", Fate{Delay: time.Second}, []string{"participant_left a CLIENT_INITIATED", "participant_joined b"}},
		{"late", Fate{Late: time.Second}, []string{"participant_joined b", "participant_left a CLIENT_INITIATED"}},
		{"hold", Fate{Hold: true}, []string{"participant_joined b", "participant_left a CLIENT_INITIATED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
				fake.SetFate(func(e Event) Fate {
					if e.Name == "participant_left" && e.Identity == "a" {
						return c.fate
					}
					return Fate{}
				})
				fake.Join("r", Who{Identity: "a"})
				fake.Leave("r", "a")
				fake.Join("r", Who{Identity: "b"})
				time.Sleep(2 * time.Second)
				if held := fake.Release(); (held == 1) != c.fate.Hold {
					t.Errorf("%d were held", held)
				}
				expect(t, receiver, "r", append([]string{"room_started", "participant_joined a"}, c.want...)...)
			})
		})
	}
}

func TestChaosIsRepeatable(t *testing.T) {
	run := func(t *testing.T, seed uint64) []string {
		var got []string
		bubble(t, Options{Seed: seed}, func(t *testing.T, fake *Fake, receiver *Receiver) {
			fake.SetFate(Chaos(seed, Rates{Drop: 0.2, Copy: 0.2, Late: 0.3, MaxLate: 3 * time.Second}))
			for i := range 30 {
				fake.Join("r", Who{Identity: fmt.Sprint(i)})
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			for _, d := range receiver.Deliveries("r") {
				got = append(got, d.Event.Id)
			}
		})
		return got
	}
	first := run(t, 7)
	if !slices.Equal(first, run(t, 7)) {
		t.Error("one seed gave two histories")
	}
	if slices.Equal(first, run(t, 8)) {
		t.Error("two seeds gave one history")
	}
}

// lister returns an API client without sockets.
func lister(fake *Fake) livekit.RoomService {
	return livekit.NewRoomServiceProtobufClient("http://livekit", &http.Client{Transport: InProcess(fake)})
}

func granted(t *testing.T, grant *auth.VideoGrant) context.Context {
	t.Helper()
	token, err := auth.NewAccessToken(DefaultKey, DefaultSecret).SetVideoGrant(grant).SetValidFor(time.Hour).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := twirp.WithHTTPRequestHeaders(context.Background(), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestAPIFaults(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, _ *Receiver) {
		client, ctx := lister(fake), granted(t, &auth.VideoGrant{RoomList: true})
		count := func() int {
			t.Helper()
			res, err := client.ListRooms(ctx, &livekit.ListRoomsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return len(res.Rooms)
		}
		order := func(fault APIFault) { fake.SetAPIFault(func(Call) APIFault { return fault }) }
		fake.Join("one", Who{Identity: "a"})
		old := fake.Snapshot()
		fake.Join("two", Who{Identity: "a"})

		order(APIFault{Empty: true})
		if n := count(); n != 0 {
			t.Errorf("an empty answer has %d rooms", n)
		}
		order(APIFault{AsOf: old})
		if n := count(); n != 1 {
			t.Errorf("a stale answer has %d rooms, want 1", n)
		}
		start := time.Now()
		order(APIFault{Delay: 3 * time.Second})
		if n := count(); n != 2 || time.Since(start) != 3*time.Second {
			t.Errorf("a slow answer has %d rooms after %v", n, time.Since(start))
		}
		order(APIFault{Code: twirp.Unavailable})
		var twerr twirp.Error
		if _, err := client.ListRooms(ctx, &livekit.ListRoomsRequest{}); !errors.As(err, &twerr) || twerr.Code() != twirp.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
		order(APIFault{Hang: true})
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := client.ListRooms(short, &livekit.ListRoomsRequest{}); err == nil {
			t.Error("a hanging call answered")
		}
		fake.SetAPIFault(nil)
		if n := count(); n != 2 {
			t.Errorf("healed, %d rooms, want 2", n)
		}
	})
}

func TestCloseEndsHangingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := New(Options{})
		fake.SetAPIFault(func(Call) APIFault { return APIFault{Hang: true} })
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = lister(fake).ListRooms(granted(t, &auth.VideoGrant{RoomList: true}), &livekit.ListRoomsRequest{})
		}()
		synctest.Wait()
		fake.Close()
		<-ended
	})
}
