// Package demo is what makes `rollcall dev` and `make cluster` worth a look: participants who come and go in a LiveKit, and a
// line for each change that their coming and going makes in Redis. It promises that both end with their context.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// Prefix begins the names of all demo rooms: it keeps them apart in a LiveKit that is not the demo's own.
const Prefix = "dev-"

// Rooms are those that the participants visit.
func Rooms() []string { return []string{Prefix + "lobby", Prefix + "standup", Prefix + "support"} }

var names = [...]string{"ada", "alan", "barbara", "clara", "donald", "edsger", "frances", "grace", "john", "katherine",
	"leslie", "margaret"}

// People come and go: each visits a room for some seconds, stays away for some, and visits another.
type People struct {
	// URL, Key and Secret are LiveKit's.
	URL, Key, Secret string
	Log              *slog.Logger

	visits    sync.WaitGroup
	complaint sync.Once
}

// token is an access token, which LiveKit's answers quote.
var token = regexp.MustCompile(`(access_token=|eyJ)[A-Za-z0-9._~+/=-]+`)

// complain tells of the first participant who cannot join: the others' reasons are the same.
func (p *People) complain(err error) {
	p.complaint.Do(func() {
		p.Log.Error("participants cannot join: look at LIVEKIT_HOST, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; trying on",
			"livekit", p.URL, "error", token.ReplaceAllString(err.Error(), "[redacted]"))
	})
}

// Finish deletes the rooms in LiveKit.
func (p *People) Finish(ctx context.Context) {
	rooms := lksdk.NewRoomServiceClient(p.URL, p.Key, p.Secret)
	for _, room := range Rooms() {
		_, _ = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room}) // most often there is no such room
	}
}

// Start sends n participants on their way until ctx ends; Wait returns when all have left.
func (p *People) Start(ctx context.Context, n int) {
	lksdk.SetLogger(logger.GetDiscardLogger()) // the SDK and pion tell of every packet
	for i := range n {
		name := names[i%len(names)]
		if i >= len(names) {
			name = fmt.Sprintf("%s-%d", name, i/len(names)+1)
		}
		p.visits.Go(func() { p.live(ctx, name, time.Duration(i)*700*time.Millisecond) })
	}
}

// Wait returns when all have left.
func (p *People) Wait() { p.visits.Wait() }

func (p *People) live(ctx context.Context, name string, away time.Duration) {
	for pause(ctx, away) {
		room := Rooms()[rand.IntN(len(Rooms()))]
		if err := p.visit(ctx, room, name); err != nil && ctx.Err() == nil {
			p.complain(err)
		}
		away = time.Second + rand.N(4*time.Second)
	}
}

func (p *People) visit(ctx context.Context, room, name string) error {
	in, err := lksdk.ConnectToRoom(p.URL, lksdk.ConnectInfo{APIKey: p.Key, APISecret: p.Secret, RoomName: room,
		ParticipantIdentity: name, ParticipantName: name}, &lksdk.RoomCallback{},
		lksdk.WithLogger(logger.GetDiscardLogger()), lksdk.WithDisableRegionDiscovery())
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	pause(ctx, 4*time.Second+rand.N(8*time.Second))
	in.Disconnect()
	return nil
}

// pause waits and tells whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
