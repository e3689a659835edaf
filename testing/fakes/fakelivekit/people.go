package fakelivekit

import (
	"maps"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
)

// Who describes a participant who joins.
type Who struct {
	Identity   string
	Name       string
	Metadata   string
	Attributes map[string]string
	Kind       livekit.ParticipantInfo_Kind
	Hidden     bool
	Recorder   bool
}

// Join adds a participant to a room, which it creates if needed, and returns the participant's sid ("" while the server is down).
// A participant of the same identity who is already in the room leaves first, with DUPLICATE_IDENTITY; a phantom is replaced
// without a webhook.
func (f *Fake) Join(room string, who Who) string {
	f.lock()
	defer f.mu.Unlock()
	r, p := f.connect(room, who)
	if p == nil {
		return ""
	}
	f.activate(r, p)
	return p.info.Sid
}

// Connect is the first half of Join: the participant is listed as JOINED, is not present, and no webhook is sent. Activate
// completes the join; without it the server gives up after AbortTimeout.
func (f *Fake) Connect(room string, who Who) string {
	f.lock()
	defer f.mu.Unlock()
	r, p := f.connect(room, who)
	if p == nil {
		return ""
	}
	p.timer = f.after(f.opts.AbortTimeout, r, p, func() { f.abort(r, p) })
	return p.info.Sid
}

// Activate is the second half of Join, after Connect.
func (f *Fake) Activate(name, identity string) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		if p.info.State != livekit.ParticipantInfo_JOINED {
			return false
		}
		stop(p.timer)
		f.activate(r, p)
		return true
	})
}

// Abort ends a Connect now: participant_connection_aborted, and no participant_left.
func (f *Fake) Abort(name, identity string) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		if p.info.State != livekit.ParticipantInfo_JOINED {
			return false
		}
		f.abort(r, p)
		return true
	})
}

// Leave makes a participant leave gracefully. It and the methods below report whether there was such a participant.
func (f *Fake) Leave(name, identity string) bool { return f.end(name, identity, reasonLeave) }

// Remove removes a participant as the API's RemoveParticipant does.
func (f *Fake) Remove(name, identity string) bool { return f.end(name, identity, reasonRemoved) }

// Kill makes a client vanish: it stays listed as ACTIVE for KillTimeout, then leaves with CONNECTION_TIMEOUT.
func (f *Fake) Kill(name, identity string) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		stop(p.timer)
		p.timer = f.after(f.opts.KillTimeout, r, p, func() { f.remove(r, p, reasonTimeout) })
		return true
	})
}

// Phantom makes the participant's LiveKit node die: the participant stays listed as ACTIVE for ever, and no webhook reports the
// loss.
func (f *Fake) Phantom(name, identity string) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		stop(p.timer)
		p.phantom = true
		f.awaitClose(r)
		return true
	})
}

// SetMetadata changes a participant's metadata and so its version. No webhook reports it.
func (f *Fake) SetMetadata(name, identity, metadata string) bool {
	return f.with(name, identity, func(_ *room, p *person) bool {
		p.info.Metadata = metadata
		p.info.Version++
		return true
	})
}

// Publish adds an audio track (track_published) and returns its sid, or "" if there is no such participant.
func (f *Fake) Publish(name, identity, track string) string {
	sid := ""
	f.with(name, identity, func(r *room, p *person) bool {
		sid = f.newID("TR_AM")
		info := audioTrack(sid, track)
		p.info.Tracks = append(p.info.Tracks, info)
		p.info.IsPublisher = true
		p.info.Version++
		f.emitTrack(webhook.EventTrackPublished, r, p, info)
		return true
	})
	return sid
}

func audioTrack(sid, name string) *livekit.TrackInfo {
	return &livekit.TrackInfo{
		Sid: sid, Name: name, Source: livekit.TrackSource_MICROPHONE, MimeType: "audio/opus", Mid: "1", Stream: "camera",
		Codecs: []*livekit.SimulcastCodecInfo{{
			MimeType: "audio/opus", Mid: "1", Cid: sid, VideoLayerMode: livekit.VideoLayer_ONE_SPATIAL_LAYER_PER_STREAM,
		}},
		Version:           &livekit.TimedVersion{UnixMicro: time.Now().UnixMicro()},
		BackupCodecPolicy: livekit.BackupCodecPolicy_SIMULCAST,
	}
}

// Unpublish removes all of a participant's tracks (track_unpublished for each).
func (f *Fake) Unpublish(name, identity string) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		f.unpublish(r, p)
		return true
	})
}

// with calls do under the lock for a participant that a node hosts.
func (f *Fake) with(name, identity string, do func(*room, *person) bool) bool {
	f.lock()
	defer f.mu.Unlock()
	p := f.world.person(name, identity)
	if f.down || p == nil || p.phantom {
		return false
	}
	return do(f.world[name], p)
}

func (f *Fake) end(name, identity string, reason livekit.DisconnectReason) bool {
	return f.with(name, identity, func(r *room, p *person) bool {
		f.remove(r, p, reason)
		return true
	})
}

func (f *Fake) connect(name string, who Who) (*room, *person) {
	if f.down {
		return nil, nil
	}
	r := f.host(&livekit.CreateRoomRequest{Name: name})
	if old := r.people[who.Identity]; old != nil && !old.phantom {
		f.remove(r, old, reasonDuplicate)
	}
	// Two joins of one identity never fall into the same millisecond: the real server needs several for a handshake.
	joined := max(time.Now().UnixMilli(), r.joins[who.Identity]+1)
	r.joins[who.Identity] = joined
	p := &person{info: &livekit.ParticipantInfo{
		Sid: f.newID("PA_"), Identity: who.Identity, Name: who.Name, Metadata: who.Metadata, Attributes: maps.Clone(who.Attributes),
		State: livekit.ParticipantInfo_JOINED, JoinedAt: joined / 1000, JoinedAtMs: joined, Version: 1, Kind: who.Kind,
		Permission: &livekit.ParticipantPermission{
			CanSubscribe: true, CanPublish: true, CanPublishData: true, CanUpdateMetadata: true,
			Hidden: who.Hidden, Recorder: who.Recorder, Agent: who.Kind == livekit.ParticipantInfo_AGENT,
		},
	}}
	r.people[who.Identity] = p
	f.awaitClose(r)
	return r, p
}

func (f *Fake) activate(r *room, p *person) {
	p.info.State = livekit.ParticipantInfo_ACTIVE
	p.info.Version++
	r.visited = true
	if p.info.Permission.GetRecorder() {
		r.info.ActiveRecording = true
	}
	f.emitParticipant(webhook.EventParticipantJoined, r, p)
}

// remove takes a participant out of the room and sends the event: left if it had been present, aborted if not.
func (f *Fake) remove(r *room, p *person, reason livekit.DisconnectReason) {
	if p.info.State != livekit.ParticipantInfo_ACTIVE {
		f.disconnect(r, p, reason, webhook.EventParticipantConnectionAborted)
		return
	}
	f.unpublish(r, p)
	f.disconnect(r, p, reason, webhook.EventParticipantLeft)
}

func (f *Fake) abort(r *room, p *person) {
	f.disconnect(r, p, reasonNoJoin, webhook.EventParticipantConnectionAborted)
}

func (f *Fake) disconnect(r *room, p *person, reason livekit.DisconnectReason, event string) {
	stop(p.timer)
	delete(r.people, p.info.Identity)
	p.info.State = livekit.ParticipantInfo_DISCONNECTED
	p.info.DisconnectReason = reason
	p.info.Version++
	f.emitParticipant(event, r, p)
	f.awaitClose(r)
}

func (f *Fake) unpublish(r *room, p *person) {
	for _, track := range p.info.Tracks {
		f.emitTrack(webhook.EventTrackUnpublished, r, p, track)
	}
	p.info.Tracks = nil
}

// after calls do under the lock after the delay, unless the participant has gone or its node has died by then.
func (f *Fake) after(seconds int, r *room, p *person, do func()) *time.Timer {
	return time.AfterFunc(f.opts.seconds(seconds), func() {
		f.lock()
		defer f.mu.Unlock()
		if !f.down && !p.phantom && f.world[r.info.Name] == r && r.people[p.info.Identity] == p {
			do()
		}
	})
}
