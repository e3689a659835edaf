package bench

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// naive is a sync service as one writes it in an afternoon, which rollcall replaces: LiveKit's library checks the webhook, both keys are read,
// changed and written, and a sync writes one room after the other. It has no order, no fence, no cluster and no feed.
type naive struct {
	redis *redis.Client
	rooms *lksdk.RoomServiceClient
}

// naiveEnv makes the test binary act as the naive service: its value is the address to listen on.
const naiveEnv = "ROLLCALL_BENCH_NAIVE"

// runNaive serves until the process is killed.
func runNaive() error {
	o, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	n := naive{redis.NewClient(o), lksdk.NewRoomServiceClient(os.Getenv("LIVEKIT_HOST"), fakelivekit.DefaultKey, fakelivekit.DefaultSecret)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/livekit-webhook", n.webhook)
	mux.HandleFunc("POST /api/sync-rooms", n.sync)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return http.ListenAndServe(os.Getenv(naiveEnv), mux)
}

func (n naive) webhook(w http.ResponseWriter, r *http.Request) {
	e, err := webhook.ReceiveWebhookEvent(r, auth.NewSimpleKeyProvider(fakelivekit.DefaultKey, fakelivekit.DefaultSecret))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	s := naiveState{Room: e.Room.Name}
	if value, err := n.redis.Get(r.Context(), "rooms:states:"+e.Room.Name).Bytes(); err == nil {
		_ = json.Unmarshal(value, &s) // errors are ignored, as usual in such handlers
	}
	s.People = slices.DeleteFunc(s.People, func(p naivePerson) bool { return p.Identity == e.Participant.Identity })
	if e.Event == webhook.EventParticipantJoined {
		s.People = append(s.People, person(e.Participant))
	}
	n.write(r.Context(), s)
	_, _ = io.WriteString(w, `{"success":true}`)
}

// naiveState is what the naive service writes of a room.
type naiveState struct {
	Room   string        `json:"roomName"`
	Active bool          `json:"isActive"`
	People []naivePerson `json:"participants"`
}

type naivePerson struct {
	Identity   string            `json:"identity"`
	SID        string            `json:"sid"`
	Name       string            `json:"name"`
	Metadata   string            `json:"metadata"`
	Attributes map[string]string `json:"attributes"`
	JoinedAt   int64             `json:"joinedAt"`
}

func person(p *livekit.ParticipantInfo) naivePerson {
	return naivePerson{p.Identity, p.Sid, p.Name, p.Metadata, p.Attributes, p.JoinedAt}
}

func (n naive) write(ctx context.Context, s naiveState) {
	s.Active = true
	var present []string
	for _, p := range s.People {
		present = append(present, p.Identity)
	}
	list, _ := json.Marshal(present)
	state, _ := json.Marshal(s)
	n.redis.Set(ctx, "rooms:participants:"+s.Room, list, 0)
	n.redis.Set(ctx, "rooms:states:"+s.Room, state, 0)
}

func (n naive) sync(w http.ResponseWriter, r *http.Request) {
	list, err := n.rooms.ListRooms(r.Context(), &livekit.ListRoomsRequest{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, room := range list.Rooms {
		people, err := n.rooms.ListParticipants(r.Context(), &livekit.ListParticipantsRequest{Room: room.Name})
		if err != nil {
			continue
		}
		s := naiveState{Room: room.Name}
		for _, p := range people.Participants {
			s.People = append(s.People, person(p))
		}
		n.write(r.Context(), s)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "result": map[string]int{"synced": len(list.Rooms)}})
}
