package livekit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rollcallhq/rollcall/reconcile"
)

// The fields of livekit.Room and livekit.ParticipantInfo that are used, with their numbers in livekit_models.proto.
const (
	roomSID, roomName, roomMaxParticipants, roomCreated, roomMetadata, roomCreatedMs = 1, 2, 4, 5, 8, 15

	personSID, personIdentity, personState, personMetadata, personJoined, personName = 1, 2, 3, 5, 6, 9
	personVersion, personPermission, personKind, personAttributes, personJoinedMs    = 10, 11, 14, 15, 17

	permissionHidden = 7
	mapKey, mapValue = 1, 2
)

// maxAttributes bounds the number of a participant's attributes, each of which takes more memory than it has bytes. LiveKit allows 64,000 bytes.
const maxAttributes = 32_000

// texts checks the strings of an entry. bad is the first that is not UTF-8.
type texts struct{ bad string }

func (t *texts) check(b []byte, what string) {
	if !utf8.Valid(b) && t.bad == "" {
		t.bad = what
	}
}

func (t *texts) read(b []byte, what string) string {
	t.check(b, what)
	return string(b)
}

// roomEntry is one entry of ListRooms.
type roomEntry struct {
	info        reconcile.RoomInfo
	seconds, ms int64
	decodes     bool
	texts
}

// readRoom parses an entry; whole is false if entry is only its beginning. Without details it leaves out the metadata.
func readRoom(entry []byte, whole, details bool) roomEntry {
	var r roomEntry
	decodes := eachField(entry, func(f field) {
		switch {
		case f.kind == protowire.BytesType && f.num == roomSID:
			r.info.SID = r.read(f.text, "sid")
		case f.kind == protowire.BytesType && f.num == roomName:
			r.info.Name = string(f.text)
		case f.kind == protowire.BytesType && f.num == roomMetadata:
			if r.check(f.text, "metadata"); details {
				r.info.Metadata = string(f.text)
			}
		case f.kind == protowire.VarintType && f.num == roomMaxParticipants:
			r.info.MaxParticipants = uint32(f.n)
		case f.kind == protowire.VarintType && f.num == roomCreated:
			r.seconds = int64(f.n)
		case f.kind == protowire.VarintType && f.num == roomCreatedMs:
			r.ms = int64(f.n)
		}
	})
	r.decodes = decodes && whole
	r.info.CreatedMs = millis(r.seconds, r.ms)
	return r
}

// named reports whether the room's name can be read. A complete entry without a name is a room whose name is empty.
func (r *roomEntry) named() bool {
	return utf8.ValidString(r.info.Name) && (r.info.Name != "" || r.decodes)
}

// fault returns why the entry cannot be used, or "".
func (r *roomEntry) fault() string {
	switch {
	case !r.named():
		return "a room whose name cannot be read"
	case r.info.Name == "":
		return "a room without a name"
	case !r.decodes:
		return "a room that does not decode"
	case r.bad != "":
		return fmt.Sprintf("a room whose %s is not UTF-8", r.bad)
	}
	return roomFault(r.info.Name, r.info.SID, r.seconds, r.ms)
}

func (r *roomEntry) size() int {
	return entryCost + len(r.info.Name) + len(r.info.SID) + len(r.info.Metadata)
}

// String describes the entry, for people.
func (r *roomEntry) String() string {
	return fmt.Sprintf("%s (name %s, sid %s)", r.fault(), quote(r.info.Name), quote(r.info.SID))
}

// personEntry is one entry of ListParticipants.
type personEntry struct {
	one         reconcile.Participant
	state       livekit.ParticipantInfo_State
	seconds, ms int64
	kind        livekit.ParticipantInfo_Kind
	decodes     bool
	bytes       int
	texts
}

func readPerson(entry []byte, whole bool) personEntry {
	var p personEntry
	decodes := eachField(entry, func(f field) {
		switch f.kind {
		case protowire.BytesType:
			p.readBytes(f)
		case protowire.VarintType:
			p.readNumber(f)
		}
	})
	p.decodes = decodes && whole
	p.one.JoinedAt, p.one.Kind = millis(p.seconds, p.ms), p.kind.String()
	return p
}

func (p *personEntry) readBytes(f field) {
	switch f.num {
	case personSID:
		p.one.SID = string(f.text)
	case personIdentity:
		p.one.Identity = p.read(f.text, "identity")
	case personMetadata:
		p.one.Metadata = p.read(f.text, "metadata")
	case personName:
		p.one.Name = p.read(f.text, "name")
	case personPermission:
		p.decode(f.text, func(f field) {
			if f.kind == protowire.VarintType && f.num == permissionHidden {
				p.one.Hidden = f.n != 0
			}
		})
	case personAttributes:
		p.readAttribute(f.text)
	default:
		return
	}
	p.bytes += len(f.text)
}

func (p *personEntry) readNumber(f field) {
	switch f.num {
	case personState:
		p.state = livekit.ParticipantInfo_State(f.n)
	case personJoined:
		p.seconds = int64(f.n)
	case personJoinedMs:
		p.ms = int64(f.n)
	case personVersion:
		p.one.Version = uint32(f.n)
	case personKind:
		p.kind = livekit.ParticipantInfo_Kind(f.n)
	}
}

func (p *personEntry) readAttribute(entry []byte) {
	var key, value string
	p.decode(entry, func(f field) {
		switch {
		case f.kind == protowire.BytesType && f.num == mapKey:
			key = p.read(f.text, "attribute")
		case f.kind == protowire.BytesType && f.num == mapValue:
			value = p.read(f.text, "attribute")
		}
	})
	if p.one.Attributes == nil {
		p.one.Attributes = map[string]string{}
	}
	if len(p.one.Attributes) >= maxAttributes {
		p.bad = "attributes"
		return
	}
	p.one.Attributes[key] = value
	p.bytes += entryCost
}

// decode parses a message within the entry. If it does not decode, the entry has a fault.
func (p *personEntry) decode(message []byte, take func(field)) {
	if !eachField(message, take) && p.bad == "" {
		p.bad = "content"
	}
}

// identified reports whether the sid can be read.
func (p *personEntry) identified() bool { return p.one.SID != "" && utf8.ValidString(p.one.SID) }

// fault returns why the entry cannot be used, or "".
func (p *personEntry) fault() string {
	switch {
	case !p.decodes:
		return "a participant that does not decode"
	case !utf8.ValidString(p.one.SID):
		return "a participant whose sid is not UTF-8"
	case p.bad != "":
		return fmt.Sprintf("a participant whose %s cannot be read", p.bad)
	}
	return participantFault(p.one.SID, p.one.Identity, p.seconds, p.ms)
}

func (p *personEntry) size() int { return 2*entryCost + p.bytes }

// String describes the entry, for people.
func (p *personEntry) String() string {
	return fmt.Sprintf("%s (identity %s, sid %s)", p.fault(), quote(p.one.Identity), quote(p.one.SID))
}

// quote makes text short and safe for a log line.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "�") + "…"
	}
	return fmt.Sprintf("%q", s)
}
