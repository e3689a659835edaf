package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// Lists is LiveKit's API, as far as it says who is where.
type Lists interface {
	ListRooms(context.Context, *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error)
	ListParticipants(context.Context, *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse, error)
}

// Listed returns the rooms that LiveKit lists.
func Listed(ctx context.Context, api Lists, kinds []string) (map[string]View, error) {
	rooms, err := api.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return nil, err
	}
	all := map[string]View{}
	for _, r := range rooms.Rooms {
		people, err := api.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: r.Name})
		if err != nil {
			return nil, err
		}
		all[r.Name] = NewView(r, people.Participants, kinds)
	}
	return all, nil
}

// Shown returns the rooms that a fake LiveKit has, from its snapshot.
func Shown(truth interface {
	Rooms(names ...string) []*livekit.Room
	Participants(room string) []*livekit.ParticipantInfo
}) map[string]View {
	all := map[string]View{}
	for _, r := range truth.Rooms() {
		all[r.Name] = NewView(r, truth.Participants(r.Name), CountKinds())
	}
	return all
}

// Differences returns the rooms in which LiveKit and Redis differ, and how. LiveKit raises a participant's version without a
// webhook, so versions are compared only after a sync (exactly).
func Differences(livekit, redis map[string]View, exactly bool) map[string]string {
	wrong, ignored := map[string]string{}, gocmp.Options{}
	if !exactly {
		ignored = gocmp.Options{cmpopts.IgnoreFields(Member{}, "Version")}
	}
	for room, a := range livekit {
		b, ok := redis[room]
		if !ok {
			wrong[room] = fmt.Sprintf("Redis has no such room, LiveKit has %q in it", a.Present)
		} else if diff := gocmp.Diff(a, b, ignored); diff != "" {
			wrong[room] = "LiveKit (-) and Redis (+) differ:\n" + diff
		}
	}
	for room, b := range redis {
		if _, ok := livekit[room]; !ok {
			wrong[room] = fmt.Sprintf("LiveKit has no such room, Redis has %q in it", b.Present)
		}
	}
	return wrong
}

// Agree returns nil if there are no Differences.
func Agree(livekit, redis map[string]View, exactly bool) error {
	var all []error
	for room, why := range Differences(livekit, redis, exactly) {
		all = append(all, fmt.Errorf("room %q: %s", room, why))
	}
	return errors.Join(all...)
}
