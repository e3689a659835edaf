package fakelivekit

import (
	"cmp"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
)

const (
	reasonLeave     = livekit.DisconnectReason_CLIENT_INITIATED
	reasonDuplicate = livekit.DisconnectReason_DUPLICATE_IDENTITY
	reasonTimeout   = livekit.DisconnectReason_CONNECTION_TIMEOUT
	reasonRemoved   = livekit.DisconnectReason_PARTICIPANT_REMOVED
	reasonDeleted   = livekit.DisconnectReason_ROOM_DELETED
	reasonClosed    = livekit.DisconnectReason_ROOM_CLOSED
	reasonShutdown  = livekit.DisconnectReason_SERVER_SHUTDOWN
	reasonNoJoin    = livekit.DisconnectReason_JOIN_FAILURE
)

// CreateRoom creates a room (room_started), or returns the existing one of that name unchanged. It returns nil while the server
// is down.
func (f *Fake) CreateRoom(req *livekit.CreateRoomRequest) *livekit.Room {
	f.lock()
	defer f.mu.Unlock()
	if f.down {
		return nil
	}
	if r := f.world[req.Name]; r != nil && r.unlisted {
		r.stopTimers()
		delete(f.world, req.Name)
	}
	return cloneOf(f.host(req).info)
}

// DeleteRoom ends a room as the API does: everyone leaves, then room_finished. It reports whether there was one.
func (f *Fake) DeleteRoom(name string) bool {
	f.lock()
	defer f.mu.Unlock()
	r := f.world[name]
	if f.down || r == nil || r.unlisted {
		return false
	}
	f.rehost(r)
	f.finish(r, reasonDeleted)
	return true
}

// DeleteRoomRaced is a DeleteRoom that races with a CreateRoom of the same name: room_started is sent again for the same sid just
// before room_finished. The room lives on under that sid for ListParticipants and joins, while ListRooms no longer has it.
func (f *Fake) DeleteRoomRaced(name string) bool {
	f.lock()
	defer f.mu.Unlock()
	r := f.world[name]
	if f.down || r == nil || r.unlisted {
		return false
	}
	people := r.byJoin()
	for i, p := range people {
		if i == len(people)-1 {
			f.emitRoom(webhook.EventRoomStarted, r)
		}
		f.remove(r, p, reasonDeleted)
	}
	if len(people) == 0 {
		f.emitRoom(webhook.EventRoomStarted, r)
	}
	f.emitRoom(webhook.EventRoomFinished, r)
	stop(r.timer)
	r.unlisted = true
	return true
}

// SetRoomMetadata changes a room's metadata, which no webhook reports. It reports whether there is such a room.
func (f *Fake) SetRoomMetadata(name, metadata string) bool {
	f.lock()
	defer f.mu.Unlock()
	r := f.world[name]
	if f.down || r == nil {
		return false
	}
	r.info.Metadata = metadata
	return true
}

// host returns the existing room, or creates it as the request says.
func (f *Fake) host(req *livekit.CreateRoomRequest) *room {
	r := f.world[req.Name]
	if r == nil {
		r = f.makeRoom(req)
		f.emitRoom(webhook.EventRoomStarted, r)
		f.awaitClose(r)
	}
	f.rehost(r)
	return r
}

func (f *Fake) makeRoom(req *livekit.CreateRoomRequest) *room {
	now := time.Now()
	r := &room{counted: now, people: map[string]*person{}, joins: map[string]int64{}, info: &livekit.Room{
		Sid: f.newID("RM_"), Name: req.Name, Metadata: req.Metadata, MaxParticipants: req.MaxParticipants,
		EmptyTimeout: cmp.Or(req.EmptyTimeout, f.opts.EmptyTimeout), DepartureTimeout: cmp.Or(req.DepartureTimeout, f.opts.DepartureTimeout),
		CreationTime: now.Unix(), CreationTimeMs: now.UnixMilli(), TurnPassword: TurnPassword, EnabledCodecs: codecs(),
	}}
	f.world[req.Name] = r
	return r
}

// rehost gives an orphaned room a node again, which sends room_started again.
func (f *Fake) rehost(r *room) {
	if r.orphaned {
		r.orphaned = false
		f.emitRoom(webhook.EventRoomStarted, r)
		f.awaitClose(r)
	}
}

// finish ends a room and removes everyone in it. Phantoms leave without a webhook: no node knows them.
func (f *Fake) finish(r *room, reason livekit.DisconnectReason) {
	for _, p := range r.byJoin() {
		if !p.phantom {
			f.remove(r, p, reason)
		}
	}
	stop(r.timer)
	delete(f.world, r.info.Name)
	if !r.unlisted {
		f.emitRoom(webhook.EventRoomFinished, r)
	}
}

// awaitClose starts the close timer of a room that nobody keeps open.
func (f *Fake) awaitClose(r *room) {
	stop(r.timer)
	if r.held() {
		return
	}
	limit := r.info.EmptyTimeout
	if r.visited {
		limit = r.info.DepartureTimeout
	}
	r.timer = time.AfterFunc(f.opts.seconds(int(limit)), func() {
		f.lock()
		defer f.mu.Unlock()
		if !f.down && f.world[r.info.Name] == r && !r.orphaned && !r.held() {
			f.finish(r, reasonClosed)
		}
	})
}

// count updates numParticipants, but like the real server at most every 5 s.
func (f *Fake) count(r *room) {
	now := time.Now()
	if now.Sub(r.counted) < f.opts.seconds(5) {
		return
	}
	r.counted, r.info.NumParticipants = now, 0
	for _, p := range r.people {
		if !dependent(p.info) && !p.info.Permission.GetHidden() {
			r.info.NumParticipants++
		}
	}
}

func codecs() []*livekit.Codec {
	var list []*livekit.Codec
	for _, mime := range []string{
		"audio/PCMU", "audio/PCMA", "audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1", "video/H265", "video/rtx",
	} {
		list = append(list, &livekit.Codec{Mime: mime})
	}
	return list
}
