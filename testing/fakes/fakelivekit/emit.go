package fakelivekit

import (
	"time"

	"github.com/livekit/protocol/livekit"
)

// The emitters need the lock. They copy what they send, because the state continues to change while a webhook waits.

func (f *Fake) emitRoom(name string, r *room) {
	f.count(r)
	f.emit(&livekit.WebhookEvent{Event: name, Room: cloneOf(r.info)})
}

func (f *Fake) emitParticipant(name string, r *room, p *person) {
	f.count(r)
	f.emit(&livekit.WebhookEvent{Event: name, Room: cloneOf(r.info), Participant: cloneOf(p.info)})
}

// emitTrack identifies room and participant by their ids only, as the real server does.
func (f *Fake) emitTrack(name string, r *room, p *person, track *livekit.TrackInfo) {
	f.emit(&livekit.WebhookEvent{
		Event:       name,
		Room:        &livekit.Room{Sid: r.info.Sid, Name: r.info.Name},
		Participant: &livekit.ParticipantInfo{Sid: p.info.Sid, Identity: p.info.Identity},
		Track:       cloneOf(track),
	})
}

func (f *Fake) emit(event *livekit.WebhookEvent) {
	event.Id = f.newID("EV_")
	event.CreatedAt = time.Now().Unix()
	f.emitted++
	var fate Fate
	if f.fate != nil {
		fate = f.fate(Event{
			Name: event.Event, Room: event.Room.Name, RoomSid: event.Room.Sid,
			Identity: event.Participant.GetIdentity(), Sid: event.Participant.GetSid(), Nth: f.emitted,
		})
	}
	for _, url := range f.opts.URLs {
		f.send(letter{event: event, room: event.Room.Name, url: url, delay: fate.Delay}, fate)
	}
}

func (f *Fake) send(l letter, fate Fate) {
	if fate.Drop {
		f.mail.dropped()
		return
	}
	for range 1 + fate.Copies {
		switch {
		case fate.Hold:
			f.held = append(f.held, l)
		case fate.Late > 0:
			f.mail.enqueueLate(l, fate.Late)
		default:
			f.mail.enqueue(l)
		}
	}
}

// newID returns an id derived from the seed.
func (f *Fake) newID(prefix string) string {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	id := []byte(prefix)
	for range 12 {
		id = append(id, letters[f.rng.IntN(len(letters))])
	}
	return string(id)
}
