package livekit

import (
	"cmp"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcallhq/rollcall/reconcile"
)

// maxText bounds names, identities and ids in webhooks, in bytes. LiveKit's own limit is 256 characters.
const maxText = 4 << 10

// readEvent parses a verified body. It never wraps the parser's errors, because they quote the body.
func readEvent(body []byte) (e reconcile.Event, known bool, err error) {
	if len(body) > reconcile.MaxWebhookBytes {
		return e, false, malformed("the body is too large")
	}
	t, w := (*trimmer)(nil), readPlain(body)
	if w == nil {
		if t, w, err = readAny(body); err != nil {
			return e, false, err
		}
	}
	return eventOf(w, t)
}

// readAny parses any body; readPlain is faster and reads alike what it reads.
func readAny(body []byte) (*trimmer, *livekit.WebhookEvent, error) {
	t := trim(body)
	if t == nil {
		return nil, nil, malformed("the body is not JSON")
	}
	if t.attributes > maxAttributes {
		return nil, nil, malformed("the participant has too many attributes")
	}
	w := &livekit.WebhookEvent{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(t.out, w); err != nil {
		return nil, nil, malformed("the body is not the JSON of an event")
	}
	return t, w, nil
}

// eventOf checks a parsed body and converts it. t is nil if the body has only values of enumerations that livekit/protocol knows.
func eventOf(w *livekit.WebhookEvent, t *trimmer) (e reconcile.Event, known bool, err error) {
	if w.Event == "" {
		return e, false, malformed("no event name")
	}
	kind, named := kindOf(w.Event)
	if !named && (w.Room == nil || w.Participant == nil) {
		return e, false, nil
	}
	if err := checkEvent(w, kind); err != nil {
		if !named {
			return e, false, nil
		}
		return e, false, err
	}
	e = reconcile.Event{ID: w.Id, Kind: kind, CreatedAt: w.CreatedAt, Room: roomInfo(w.Room)}
	// LiveKit omits the room's creation time in track events only. If a start or a join lacks it, the room is taken to be as old as the event.
	if e.Room.CreatedMs == 0 && (kind == reconcile.Started || kind == reconcile.Joined) {
		e.Room.CreatedMs = w.CreatedAt * 1000
	}
	if hasParticipant(kind) {
		e.Participant = participant(w.Participant)
		if e.Participant.JoinedAt == 0 && kind == reconcile.Joined {
			e.Participant.JoinedAt = w.CreatedAt * 1000
		}
		if name := strangeKind(t, w.Participant); name != "" {
			e.Participant.Kind = name
		}
	}
	if kind == reconcile.Left || kind == reconcile.Aborted {
		e.Reason = disconnectReason(t, w.Participant)
	}
	return e, true, nil
}

// kindOf returns Track for every unknown name: if such an event has a room and a participant, it shows that they exist.
func kindOf(event string) (kind reconcile.EventKind, named bool) {
	switch event {
	case "room_started":
		return reconcile.Started, true
	case "room_finished":
		return reconcile.Finished, true
	case "participant_joined":
		return reconcile.Joined, true
	case "participant_left":
		return reconcile.Left, true
	case "participant_connection_aborted":
		return reconcile.Aborted, true
	case "track_published", "track_unpublished":
		return reconcile.Track, true
	}
	return reconcile.Track, false
}

func hasParticipant(kind reconcile.EventKind) bool {
	return kind != reconcile.Started && kind != reconcile.Finished
}

// checkEvent refuses what LiveKit never sends and what would spoil the order of a record permanently: after a finish mark or a join in the far
// future, everything later would be refused.
func checkEvent(w *livekit.WebhookEvent, kind reconcile.EventKind) error {
	switch {
	case len(w.Id) > maxText:
		return malformed("the event's id is too long")
	case w.CreatedAt == 0:
		return malformed("no createdAt, as from a LiveKit older than 0.15.1, which is not supported")
	case w.CreatedAt < 0 || w.CreatedAt > maxSeconds:
		return malformed("createdAt is not in Unix seconds")
	case len(w.GetRoom().GetName()) > maxText || len(w.GetRoom().GetSid()) > maxText:
		return malformed("the room's name or sid is too long")
	}
	if fault := roomFault(w.GetRoom().GetName(), w.GetRoom().GetSid(), w.GetRoom().GetCreationTime(), w.GetRoom().GetCreationTimeMs()); fault != "" {
		return malformed(fault)
	}
	if !hasParticipant(kind) {
		return nil
	}
	p := w.GetParticipant()
	if len(p.GetSid()) > maxText || len(p.GetIdentity()) > maxText {
		return malformed("the participant's sid or identity is too long")
	}
	if fault := participantFault(p.GetSid(), p.GetIdentity(), p.GetJoinedAt(), p.GetJoinedAtMs()); fault != "" {
		return malformed(fault)
	}
	return nil
}

// strangeKind returns the name of a participant's kind if this version of livekit/protocol does not know it, or "". The parser drops such a
// name, which would make the participant STANDARD.
func strangeKind(t *trimmer, p *livekit.ParticipantInfo) string {
	if p.Kind != livekit.ParticipantInfo_STANDARD {
		return ""
	}
	return t.enum("kind")
}

// disconnectReason returns the name of a participant's DisconnectReason, even if this version of livekit/protocol does not know it. It returns
// reconcile.UnknownReason if LiveKit gave none.
func disconnectReason(t *trimmer, p *livekit.ParticipantInfo) string {
	if p.GetDisconnectReason() == livekit.DisconnectReason_UNKNOWN_REASON {
		return cmp.Or(t.enum("disconnect_reason"), reconcile.UnknownReason)
	}
	if name, known := livekit.DisconnectReason_name[int32(p.GetDisconnectReason())]; known {
		return name
	}
	return reconcile.UnknownReason // a number without a name
}
