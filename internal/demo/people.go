// Package demo shows something in `rollcall dev` and `make cluster`: a livekit-server for dev, participants who join and leave rooms of a
// LiveKit, and a line for each change that this makes in Redis. The participants and the lines end with their context.
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

	"github.com/rollcallhq/rollcall/internal/wait"
)

// Prefix begins the names of all demo rooms. It distinguishes them in a LiveKit that is not the demo's own.
const Prefix = "dev-"

// Rooms returns the rooms that the participants visit.
func Rooms() []string { return []string{Prefix + "lobby", Prefix + "standup", Prefix + "support"} }

var names = [...]string{"ada", "alan", "barbara", "clara", "donald", "edsger", "frances", "grace", "john", "katherine",
	"leslie", "margaret"}

// People are participants who come and go: each visits a room for some seconds, stays away for some, and visits another.
type People struct {
	// URL, Key and Secret belong to LiveKit.
	URL, Key, Secret string
	Log              *slog.Logger

	visits    sync.WaitGroup
	complaint sync.Once
}

// token matches access tokens, which LiveKit's answers quote.
var token = regexp.MustCompile(`(access_token=|eyJ)[A-Za-z0-9._~+/=-]+`)

// complain logs the first participant who cannot join; the others fail for the same reason.
func (p *People) complain(err error) {
	p.complaint.Do(func() {
		p.Log.Error("participants cannot join: check LIVEKIT_HOST, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; retrying",
			"livekit", p.URL, "error", token.ReplaceAllString(err.Error(), "[redacted]"))
	})
}

// Finish deletes the rooms in LiveKit.
func (p *People) Finish(ctx context.Context) {
	rooms := lksdk.NewRoomServiceClient(p.URL, p.Key, p.Secret)
	for _, room := range Rooms() {
		_, _ = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room}) // usually there is no such room
	}
}

// Start lets n participants come and go until ctx ends; Wait returns when all have left.
func (p *People) Start(ctx context.Context, n int) {
	lksdk.SetLogger(logger.GetDiscardLogger()) // the SDK and pion log every packet
	for i := range n {
		name := names[i%len(names)]
		if i >= len(names) {
			name = fmt.Sprintf("%s-%d", name, i/len(names)+1)
		}
		p.visits.Go(func() { p.live(ctx, name, time.Duration(i)*700*time.Millisecond) })
	}
}

// Wait waits until all participants have left.
func (p *People) Wait() { p.visits.Wait() }

func (p *People) live(ctx context.Context, name string, away time.Duration) {
	for wait.For(ctx, away) == nil {
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
	_ = wait.For(ctx, 4*time.Second+rand.N(8*time.Second)) // an early end is an end all the same
	in.Disconnect()
	return nil
}
