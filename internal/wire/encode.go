package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Most of what nodes send each other is events, so this file writes and reads them without the generated types. The bytes
// still follow rollcall.proto; the tests compare both encodings.

// AppendEvent appends an Event.
func AppendEvent(b []byte, e *reconcile.Event) []byte {
	b = appendText(b, 1, e.ID)
	b = appendNumber(b, 2, uint64(e.Kind))
	b = appendNumber(b, 3, uint64(e.CreatedAt))
	b = appendNumber(b, 4, uint64(e.Expires))
	r, p := &e.Room, &e.Participant
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeText(1, r.Name)+sizeText(2, r.SID)+sizeNumber(3, uint64(r.CreatedMs))+
		sizeNumber(4, uint64(r.MaxParticipants))+sizeText(5, r.Metadata)))
	b = appendText(b, 1, r.Name)
	b = appendText(b, 2, r.SID)
	b = appendNumber(b, 3, uint64(r.CreatedMs))
	b = appendNumber(b, 4, uint64(r.MaxParticipants))
	b = appendText(b, 5, r.Metadata)
	b = protowire.AppendTag(b, 6, protowire.BytesType)
	b = appendParticipant(protowire.AppendVarint(b, uint64(sizeParticipant(p))), p)
	return appendLater(appendText(b, 7, e.Reason))
}

func appendParticipant(b []byte, p *reconcile.Participant) []byte {
	b = appendText(b, 1, p.Identity)
	b = appendNumber(b, 2, uint64(p.JoinedAt))
	b = appendText(b, 3, p.Metadata)
	b = appendText(b, 4, p.SID)
	b = appendText(b, 5, p.Name)
	for k, v := range p.Attributes {
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeText(1, k)+sizeText(2, v)))
		b = appendText(b, 1, k)
		b = appendText(b, 2, v)
	}
	b = appendText(b, 7, p.Kind)
	b = appendNumber(b, 8, protowire.EncodeBool(p.Hidden))
	return appendNumber(b, 9, uint64(p.Version))
}

func sizeParticipant(p *reconcile.Participant) int {
	n := sizeText(1, p.Identity) + sizeNumber(2, uint64(p.JoinedAt)) + sizeText(3, p.Metadata) + sizeText(4, p.SID) +
		sizeText(5, p.Name) + sizeText(7, p.Kind) + sizeNumber(8, protowire.EncodeBool(p.Hidden)) + sizeNumber(9, uint64(p.Version))
	for k, v := range p.Attributes {
		n += protowire.SizeTag(6) + protowire.SizeBytes(sizeText(1, k)+sizeText(2, v))
	}
	return n
}

// appendText appends a field. Like proto3, it omits an empty one.
func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func sizeText(field protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(s))
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func sizeNumber(field protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}

// ParseEvent reads an Event. It retains no part of b: what a room stores of an event must not keep the whole batch in memory.
func ParseEvent(b []byte) (e reconcile.Event, err error) {
	err = fields(b, func(tag, number uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | asBytes:
			e.ID = string(bytes)
		case 2<<3 | asVarint:
			e.Kind = reconcile.EventKind(number)
		case 3<<3 | asVarint:
			e.CreatedAt = int64(number)
		case 4<<3 | asVarint:
			e.Expires = int64(number)
		case 5<<3 | asBytes:
			return parseRoom(bytes, &e.Room)
		case 6<<3 | asBytes:
			return parseParticipant(bytes, &e.Participant)
		case 7<<3 | asBytes:
			e.Reason = string(bytes)
		}
		return nil
	})
	return e, err
}

func parseRoom(b []byte, r *reconcile.RoomInfo) error {
	return fields(b, func(tag, number uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | asBytes:
			r.Name = string(bytes)
		case 2<<3 | asBytes:
			r.SID = string(bytes)
		case 3<<3 | asVarint:
			r.CreatedMs = int64(number)
		case 4<<3 | asVarint:
			r.MaxParticipants = uint32(number)
		case 5<<3 | asBytes:
			r.Metadata = string(bytes)
		}
		return nil
	})
}

func parseParticipant(b []byte, p *reconcile.Participant) error {
	return fields(b, func(tag, number uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | asBytes:
			p.Identity = string(bytes)
		case 2<<3 | asVarint:
			p.JoinedAt = int64(number)
		case 3<<3 | asBytes:
			p.Metadata = string(bytes)
		case 4<<3 | asBytes:
			p.SID = string(bytes)
		case 5<<3 | asBytes:
			p.Name = string(bytes)
		case 6<<3 | asBytes:
			return parseAttribute(bytes, p)
		case 7<<3 | asBytes:
			p.Kind = string(bytes)
		case 8<<3 | asVarint:
			p.Hidden = protowire.DecodeBool(number)
		case 9<<3 | asVarint:
			p.Version = uint32(number)
		}
		return nil
	})
}

func parseAttribute(b []byte, p *reconcile.Participant) error {
	var key, value string
	err := fields(b, func(tag uint64, _ uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | asBytes:
			key = string(bytes)
		case 2<<3 | asBytes:
			value = string(bytes)
		}
		return nil
	})
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	p.Attributes[key] = value
	return err
}

// The two kinds of fields that rollcall.proto has, as the low bits of a tag.
const (
	asVarint = uint64(protowire.VarintType)
	asBytes  = uint64(protowire.BytesType)
)

// fields calls f for each field of a message: with its tag (the field's number << 3 | its kind), and the number of a
// varint or the bytes of a field with a length. It skips the value of a field of another kind.
func fields(b []byte, f func(tag, number uint64, bytes []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("a message between nodes: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("a message between nodes: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(protowire.EncodeTag(field, kind), number, bytes); err != nil {
			return err
		}
	}
	return nil
}
