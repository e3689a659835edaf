package sim

import (
	"bytes"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// FaultyRooms returns unusable entries of ListRooms, one of each sort. The names of all of them are readable.
func FaultyRooms() [][]byte {
	return [][]byte{
		entry(&livekit.Room{Sid: "RM_x", CreationTime: 1}),
		{},
		entry(&livekit.Room{Name: "no-sid", CreationTime: 1}),
		entry(&livekit.Room{Name: "milliseconds", Sid: "RM_x", CreationTime: 1795399866205}),
		append(text(2, "broken"), 0x42, 0x7f),
		bytes.Join([][]byte{text(2, "not-utf-8"), text(1, "RM_x"), text(8, "\xff")}, nil),
	}
}

// UnreadableName returns an entry of ListRooms whose name is unreadable, so that it may be any room.
func UnreadableName() []byte { return append(text(1, "RM_x"), text(2, "room\xff")...) }

// FaultyPeople returns unusable entries of ListParticipants. Each protects the sid that it contains.
func FaultyPeople() [][]byte {
	active := livekit.ParticipantInfo_ACTIVE
	return [][]byte{
		entry(&livekit.ParticipantInfo{Sid: "PA_x", State: active}),
		entry(&livekit.ParticipantInfo{Sid: "PA_y", Identity: "y", JoinedAtMs: -1, State: active}),
		append(text(1, "PA_z"), 0x42, 0x7f),
	}
}

// Nameless returns an entry of ListParticipants without a sid, which protects everyone for a while.
func Nameless() []byte {
	return entry(&livekit.ParticipantInfo{Identity: "x", State: livekit.ParticipantInfo_ACTIVE})
}

// entry encodes m. Encoding cannot fail, because m is built here.
func entry(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil
	}
	return raw
}

func text(num protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), value)
}
