package main

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

// devRooms are the rooms that dev's participants visit; the prefix keeps them apart in a LiveKit that is not dev's own.
var devRooms = [...]string{devPrefix + "lobby", devPrefix + "standup", devPrefix + "support"}

const devPrefix = "dev-"

var devNames = [...]string{"ada", "alan", "barbara", "clara", "donald", "edsger", "frances", "grace", "john", "katherine",
	"leslie", "margaret"}

// people come and go: each visits a room for some seconds, stays away for some, and visits another.
type people struct {
	url, key, secret string
	log              *slog.Logger
	visits           sync.WaitGroup
	complaint        sync.Once
}

// aToken is an access token, which LiveKit's answers quote.
var aToken = regexp.MustCompile(`(access_token=|eyJ)[A-Za-z0-9._~+/=-]+`)

// complain tells of the first participant who cannot join: the others' reasons are the same.
func (p *people) complain(err error) {
	p.complaint.Do(func() {
		p.log.Error("participants cannot join: look at LIVEKIT_HOST, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; trying on",
			"livekit", p.url, "error", aToken.ReplaceAllString(err.Error(), redacted))
	})
}

// finish deletes dev's rooms in LiveKit.
func (p *people) finish(ctx context.Context) {
	rooms := lksdk.NewRoomServiceClient(p.url, p.key, p.secret)
	for _, room := range devRooms {
		_, _ = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room}) // most often there is no such room
	}
}

// start sends n participants on their way until ctx ends; wait returns when all have left.
func (p *people) start(ctx context.Context, n int) {
	lksdk.SetLogger(logger.GetDiscardLogger()) // the SDK and pion tell of every packet
	for i := range n {
		name := devNames[i%len(devNames)]
		if i >= len(devNames) {
			name = fmt.Sprintf("%s-%d", name, i/len(devNames)+1)
		}
		p.visits.Go(func() { p.live(ctx, name, time.Duration(i)*700*time.Millisecond) })
	}
}

func (p *people) wait() { p.visits.Wait() }

func (p *people) live(ctx context.Context, name string, away time.Duration) {
	for pause(ctx, away) {
		room := devRooms[rand.IntN(len(devRooms))]
		if err := p.visit(ctx, room, name); err != nil && ctx.Err() == nil {
			p.complain(err)
		}
		away = time.Second + rand.N(4*time.Second)
	}
}

func (p *people) visit(ctx context.Context, room, name string) error {
	in, err := lksdk.ConnectToRoom(p.url, lksdk.ConnectInfo{APIKey: p.key, APISecret: p.secret, RoomName: room,
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
