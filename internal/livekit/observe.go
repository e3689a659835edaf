package livekit

import (
	"maps"
	"slices"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Kinds returns the kinds of participants that this build knows, as a Participant has them.
func Kinds() []string {
	return slices.Sorted(maps.Values(livekit.ParticipantInfo_Kind_name))
}

// maxSeconds is the latest Unix time that is accepted, in the year 5138. Milliseconds taken for seconds exceed it.
const maxSeconds = 100_000_000_000

// roomFault returns why a room with these fields cannot be used, or "".
func roomFault(name, sid string, seconds, ms int64) string {
	switch {
	case name == "":
		return "a room without a name"
	case sid == "":
		return "a room without a sid"
	case !plausible(seconds, ms):
		return "a room whose creation time is no time"
	}
	return ""
}

// participantFault returns why a participant with these fields cannot be used, or "".
func participantFault(sid, identity string, seconds, ms int64) string {
	switch {
	case sid == "":
		return "a participant without a sid"
	case identity == "":
		return "a participant without an identity"
	case !plausible(seconds, ms):
		return "a participant whose join time is no time"
	}
	return ""
}

func plausible(seconds, ms int64) bool {
	return seconds >= 0 && seconds <= maxSeconds && ms >= 0 && ms <= maxSeconds*1000
}

// millis prefers the milliseconds, which older servers do not send.
func millis(seconds, ms int64) int64 {
	if ms == 0 {
		return seconds * 1000
	}
	return ms
}

// roomInfo copies the fields that are needed and nothing else: a room also carries turnPassword.
func roomInfo(r *livekit.Room) reconcile.RoomInfo {
	return reconcile.RoomInfo{
		Name:            r.GetName(),
		SID:             r.GetSid(),
		CreatedMs:       millis(r.GetCreationTime(), r.GetCreationTimeMs()),
		MaxParticipants: r.GetMaxParticipants(),
		Metadata:        r.GetMetadata(),
	}
}

func participant(p *livekit.ParticipantInfo) reconcile.Participant {
	return reconcile.Participant{
		Identity:   p.GetIdentity(),
		JoinedAt:   millis(p.GetJoinedAt(), p.GetJoinedAtMs()),
		Metadata:   p.GetMetadata(),
		SID:        p.GetSid(),
		Name:       p.GetName(),
		Attributes: p.GetAttributes(),
		Kind:       p.GetKind().String(),
		Hidden:     p.GetPermission().GetHidden(),
		Version:    p.GetVersion(),
	}
}
