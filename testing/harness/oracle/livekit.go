package oracle

import (
	"fmt"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/livekit"
)

// CountKinds returns the kinds of participants that count by default.
func CountKinds() []string { return []string{"STANDARD", "SIP"} }

// NewView returns a room as LiveKit lists it, with its participants. Only the active ones count.
func NewView(room *livekit.Room, people []*livekit.ParticipantInfo, kinds []string) View {
	v := View{SID: room.Sid, Metadata: room.Metadata, CreatedAt: room.CreationTimeMs, MaxParticipants: room.MaxParticipants, Roster: []Member{}}
	for _, p := range people {
		if p.State == livekit.ParticipantInfo_ACTIVE {
			v.Roster = append(v.Roster, newMember(p))
		}
	}
	slices.SortFunc(v.Roster, ByJoin)
	v.Present = present(v.Roster, kinds)
	return v
}

func newMember(p *livekit.ParticipantInfo) Member {
	m := Member{Identity: p.Identity, JoinedAt: p.JoinedAtMs, Metadata: p.Metadata, SID: p.Sid, Name: p.Name, Attributes: p.Attributes,
		Kind: p.Kind.String(), Hidden: p.Permission.GetHidden(), Version: p.Version}
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	return m
}

// Agree returns nil if LiveKit and Redis have the same rooms. LiveKit raises a participant's version without a webhook, so
// versions are compared only after a sync (exactly).
func Agree(livekit, redis map[string]View, exactly bool) error {
	for _, all := range []map[string]View{livekit, redis} {
		for _, v := range all {
			for i := range v.Roster {
				if !exactly {
					v.Roster[i].Version = 0
				}
			}
		}
	}
	if diff := gocmp.Diff(livekit, redis); diff != "" {
		return fmt.Errorf("LiveKit (-) and Redis (+) differ:\n%s", diff)
	}
	return nil
}
