package livekittest

import (
	"context"
	"fmt"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// The SDK passes its global logger to pion, whatever logger a room has. Both are noise here.
func init() { lksdk.SetLogger(logger.GetDiscardLogger()) }

// Who describes a participant who joins, as for the fake.
type Who = fakelivekit.Who

// Participant is a real client in this process. It reconnects by itself when the server comes back. For a client that can be
// killed see Spawn.
type Participant struct {
	room *lksdk.Room
}

// Token returns an access token with which who may join the room.
func Token(room string, who Who) (string, error) {
	yes := true
	token, err := auth.NewAccessToken(Key, Secret).
		SetIdentity(who.Identity).SetName(who.Name).SetMetadata(who.Metadata).SetAttributes(who.Attributes).SetKind(who.Kind).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin: true, Room: room, CanUpdateOwnMetadata: &yes, Hidden: who.Hidden, Recorder: who.Recorder,
			Agent: who.Kind == livekit.ParticipantInfo_AGENT,
		}).
		SetValidFor(time.Hour).ToJWT()
	if err != nil {
		return "", fmt.Errorf("sign an access token: %w", err)
	}
	return token, nil
}

// Join connects a real client to a room. The client is connected, including media, when Join returns. Leave ends it.
func (s *Server) Join(ctx context.Context, room string, who Who) (*Participant, error) {
	token, err := Token(room, who)
	if err != nil {
		return nil, err
	}
	return Connect(ctx, s.URL(), token)
}

// Connect is Join with an existing token, for any server.
func Connect(ctx context.Context, url, token string) (*Participant, error) {
	room := lksdk.NewRoom(&lksdk.RoomCallback{})
	room.SetLogger(logger.GetDiscardLogger())
	err := room.JoinWithContextAndToken(ctx, url, token, lksdk.WithLogger(logger.GetDiscardLogger()), lksdk.WithDisableRegionDiscovery())
	if err != nil {
		return nil, fmt.Errorf("join at %s: %w", url, err)
	}
	return &Participant{room: room}, nil
}

// Sid returns the participant's sid, which changes when the client reconnects after a restart of the server.
func (p *Participant) Sid() string { return p.room.LocalParticipant.SID() }

// Leave disconnects gracefully.
func (p *Participant) Leave() { p.room.Disconnect() }

// Publish publishes an audio track of silence under that name.
func (p *Participant) Publish(name string) error {
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2})
	if err != nil {
		return fmt.Errorf("make a track: %w", err)
	}
	if err := track.StartWrite(lksdk.NewNullSampleProvider(24_000), nil); err != nil {
		return fmt.Errorf("fill the track: %w", err)
	}
	if _, err := p.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{Name: name}); err != nil {
		return fmt.Errorf("publish the track: %w", err)
	}
	return nil
}
