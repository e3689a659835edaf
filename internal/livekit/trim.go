package livekit

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// trimmer copies from a webhook's body the fields that make up an event. Lists and messages that are not used, such as tracks, would take up to
// 150 times their bytes when they are decoded: they are skipped, whatever they hold.
type trimmer struct {
	in  []byte // valid JSON
	at  int
	out []byte
	// enums are the values of the participant's enumerations, as they are in the body.
	enums map[protoreflect.Name][]byte
	// attributes counts the participant's attributes.
	attributes int
}

// usedMessages are the messages and maps that make up an event.
var usedMessages = map[protoreflect.FullName]bool{
	"livekit.WebhookEvent.room":          true,
	"livekit.WebhookEvent.participant":   true,
	"livekit.ParticipantInfo.permission": true,
	"livekit.ParticipantInfo.attributes": true,
}

// trim returns nil for a body that is not JSON.
func trim(body []byte) *trimmer {
	if !json.Valid(body) {
		return nil
	}
	t := &trimmer{in: body, out: make([]byte, 0, len(body)), enums: map[protoreflect.Name][]byte{}}
	t.space()
	t.message((&livekit.WebhookEvent{}).ProtoReflect().Descriptor())
	return t
}

// message copies the object of a message. Anything else is copied unchanged, for the parser to refuse.
func (t *trimmer) message(md protoreflect.MessageDescriptor) {
	if t.in[t.at] != '{' {
		t.out = append(t.out, t.skip()...)
		return
	}
	t.out = append(t.out, '{')
	first := true
	t.members(func(name []byte) {
		fd := fieldOf(md, name)
		if fd == nil || fd.IsList() || fd.Message() != nil && !usedMessages[fd.FullName()] {
			t.skip()
			return
		}
		if !first {
			t.out = append(t.out, ',')
		}
		first = false
		t.out = append(append(t.out, name...), ':')
		t.field(fd)
	})
	t.out = append(t.out, '}')
}

// field copies the value of a field that is used.
func (t *trimmer) field(fd protoreflect.FieldDescriptor) {
	if fd.Message() != nil && !fd.IsMap() {
		t.message(fd.Message())
		return
	}
	start := t.at
	if fd.IsMap() && t.in[t.at] == '{' {
		t.members(func([]byte) {
			t.attributes++
			t.skip()
		})
	} else {
		t.skip()
	}
	value := t.in[start:t.at]
	if fd.Kind() == protoreflect.EnumKind {
		t.enums[fd.Name()] = value
	}
	t.out = append(t.out, value...)
}

// fieldOf finds a field by its name as it is in the body, with its quotes. Like the parser, it accepts both spellings.
func fieldOf(md protoreflect.MessageDescriptor, quoted []byte) protoreflect.FieldDescriptor {
	const longest = 256 // the longest form of a known name, however it is escaped
	if len(quoted) > longest {
		return nil
	}
	// Of JSON's escapes only \u00XX can encode a letter of a name, and Go reads that escape the same way.
	name, err := strconv.Unquote(string(quoted))
	if err != nil {
		return nil
	}
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(name)
}

// members walks through the object that begins here. It calls take at the value of each member; take must advance past the value.
func (t *trimmer) members(take func(name []byte)) {
	t.at++
	for {
		t.space()
		switch t.in[t.at] {
		case '}':
			t.at++
			return
		case ',':
			t.at++
			t.space()
		}
		name := t.text()
		t.space()
		t.at++ // the colon
		t.space()
		take(name)
	}
}

// skip advances past the value that begins here and returns it.
func (t *trimmer) skip() []byte {
	start, depth := t.at, 0
	for {
		switch t.in[t.at] {
		case '"':
			t.text()
		case '{', '[':
			depth++
			t.at++
		case '}', ']':
			depth--
			t.at++
		case ' ', '\t', '\r', '\n', ',', ':':
			t.at++
			continue
		default:
			t.literal()
		}
		if depth == 0 {
			return t.in[start:t.at]
		}
	}
}

// text advances past the string that begins here and returns it with its quotes.
func (t *trimmer) text() []byte {
	start := t.at
	for t.at++; t.in[t.at] != '"'; t.at++ {
		if t.in[t.at] == '\\' {
			t.at++
		}
	}
	t.at++
	return t.in[start:t.at]
}

// literal advances past a number, true, false or null.
func (t *trimmer) literal() {
	for t.at < len(t.in) && strings.IndexByte(" \t\r\n,:}]", t.in[t.at]) < 0 {
		t.at++
	}
}

func (t *trimmer) space() {
	for t.at < len(t.in) && strings.IndexByte(" \t\r\n", t.in[t.at]) >= 0 {
		t.at++
	}
}

// enum returns the name in one of the participant's enumerations, even if this version of livekit/protocol does not know it, or "".
func (t *trimmer) enum(field protoreflect.Name) string {
	var name string
	if t == nil {
		return ""
	}
	if value := t.enums[field]; len(value) > maxText || json.Unmarshal(value, &name) != nil {
		return ""
	}
	return name
}
