package livekit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// This file reads the webhooks that LiveKit really sends, at a fraction of the libraries' cost. Whatever is wrong or unusual about a token or
// a body is left to the libraries, so only they refuse anything, and both must read alike what is accepted here: FuzzFastToken and
// FuzzFastEvent compare them.

// usualHeaders are the headers of tokens that are read here.
var usualHeaders = map[string]bool{
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)): true,
	base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"HS256"}`)): true,
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)):             true,
}

// usualToken is the longest token that is read here, in bytes. Those of webhooks have about 250.
const usualToken = 1 << 10

// tokenSpace has buffers for a token.
var tokenSpace = sync.Pool{New: func() any { return new([usualToken]byte) }}

// signatureChars is the length of every HS256 signature in a token.
var signatureChars = base64.RawURLEncoding.EncodedLen(sha256.Size)

var strictBase64 = base64.RawURLEncoding.Strict()

// readFast verifies a token. It returns nil for one that is not accepted or unusual.
func (k keyring) readFast(raw string, now time.Time) *claims {
	last := strings.LastIndexByte(raw, '.')
	header, payload, ok := strings.Cut(raw[:max(last, 0)], ".")
	if !ok || len(raw) > usualToken || !usualHeaders[header] {
		return nil
	}
	space := tokenSpace.Get().(*[usualToken]byte)
	defer tokenSpace.Put(space)
	decoded := append(space[:0], payload...)
	n, err := strictBase64.Decode(decoded, decoded)
	if err != nil {
		return nil
	}
	c := readClaims(decoded[:n], now)
	if c == nil || k[c.Issuer] == nil {
		return nil
	}
	if len(raw)-last-1 != signatureChars { // the decoder must have room for what it writes
		return nil
	}
	var signature, want [64]byte
	if n, err = strictBase64.Decode(signature[:], append(want[:0], raw[last+1:]...)); err != nil {
		return nil
	}
	if !hmac.Equal(k[c.Issuer].sign(want[:0], append(space[:0], raw[:last]...)), signature[:n]) {
		return nil
	}
	return c
}

// readClaims reads the claims of a token that is valid now. The caller verifies its signature.
func readClaims(payload []byte, now time.Time) *claims {
	const issuer, digest, expires, others = 1, 2, 4, 8
	c, seen, nbf, exp := &claims{}, 0, int64(0), int64(0)
	once := func(bit int) bool {
		fresh := seen&bit == 0
		seen |= bit
		return fresh
	}
	s := scanner{in: payload}
	ok := s.object(func(name []byte) (ok bool) {
		switch string(name) {
		case "iss":
			c.Issuer, ok = s.unquoted()
			return ok && once(issuer)
		case "sha256":
			c.SHA256, ok = s.unquoted()
			return ok && once(digest)
		case "exp":
			exp, ok = s.seconds()
			return ok && once(expires)
		case "nbf":
			nbf, ok = s.seconds()
			return ok && once(others)
		case "iat":
			_, ok = s.seconds()
			return ok && once(2*others)
		}
		return harmless(name) && s.skip(0)
	})
	// A webhook's token names a body: others are few, and may have grants.
	if !ok || !s.end() || seen&(issuer|digest|expires) != issuer|digest|expires || c.SHA256 == "" || exp > maxSeconds {
		return nil
	}
	if c.ExpiresAt = jwt.NewNumericDate(time.Unix(exp, 0)); exp == 0 || !now.Before(c.ExpiresAt.Add(leeway)) || now.Unix()+int64(skew/time.Second) <= nbf {
		return nil
	}
	return c
}

// seconds reads a time that is not in quotes.
func (s *scanner) seconds() (int64, bool) {
	s.space()
	if s.at < len(s.in) && s.in[s.at] == '"' {
		return 0, false
	}
	return s.whole(12)
}

// harmless reports whether the libraries ignore a claim of this name, which is none of those that are read above. They ignore the case of names.
func harmless(name []byte) bool {
	read := []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sha256", "video"}
	return !slices.ContainsFunc(name, func(c byte) bool { return c >= utf8.RuneSelf }) &&
		!slices.ContainsFunc(read, func(one string) bool { return len(name) == len(one) && strings.EqualFold(string(name), one) })
}

// plainField describes how a field of a message is read here.
type plainField struct {
	name    protoreflect.Name
	json    string
	bit     uint64 // one for each field of the message: a field may come once
	kind    protoreflect.Kind
	skipped bool // lists, and messages that make up no part of an event
	values  protoreflect.EnumValueDescriptors
}

// plainMessage is the fields of a message.
type plainMessage struct {
	ordered []*plainField          // as LiveKit sends them
	byName  map[string]*plainField // by both spellings of their names
}

// find finds a field by its name, first among those that LiveKit sends after the one before. next is the place of the one after it.
func (m *plainMessage) find(name []byte, after int) (f *plainField, next int) {
	for i := after; i < len(m.ordered); i++ {
		if m.ordered[i].json == string(name) {
			return m.ordered[i], i + 1
		}
	}
	return m.byName[string(name)], after
}

func plainFields(m protoreflect.ProtoMessage) *plainMessage {
	all, fields := &plainMessage{byName: map[string]*plainField{}}, m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		f := &plainField{name: fd.Name(), json: fd.JSONName(), bit: 1 << i, kind: fd.Kind(), skipped: fd.IsList() || fd.Message() != nil && !usedMessages[fd.FullName()]}
		if fd.Enum() != nil {
			f.values = fd.Enum().Values()
		}
		if i >= 64 || fd.ContainingOneof() != nil {
			f.kind = protoreflect.GroupKind // is read by nobody here
		}
		all.ordered = append(all.ordered, f)
		all.byName[fd.JSONName()], all.byName[fd.TextName()] = f, f
	}
	return all
}

var (
	plainWebhook     = plainFields(&livekit.WebhookEvent{})
	plainRoom        = plainFields(&livekit.Room{})
	plainParticipant = plainFields(&livekit.ParticipantInfo{})
	plainPermission  = plainFields(&livekit.ParticipantPermission{})
)

// plainValue is the value of a string, a number, a boolean or an enumeration.
type plainValue struct {
	text   string
	number int64
	yes    bool
}

// message reads the object of a message. nested reads the messages and maps that make up an event, set takes everything else.
func (s *scanner) message(fields *plainMessage, nested func(protoreflect.Name) bool, set func(protoreflect.Name, plainValue)) bool {
	seen, next := uint64(0), 0
	return s.object(func(name []byte) bool {
		var f *plainField
		if f, next = fields.find(name, next); f == nil || f.skipped {
			return s.skip(0)
		}
		if seen&f.bit != 0 {
			return false
		}
		seen |= f.bit
		if f.kind == protoreflect.MessageKind {
			return nested(f.name)
		}
		v, ok := s.value(f)
		if ok {
			set(f.name, v)
		}
		return ok
	})
}

func (s *scanner) value(f *plainField) (v plainValue, ok bool) {
	switch f.kind {
	case protoreflect.StringKind:
		v.text, ok = s.unquoted()
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		v.number, ok = s.whole(18)
	case protoreflect.Int32Kind, protoreflect.Uint32Kind:
		v.number, ok = s.whole(9)
	case protoreflect.BoolKind:
		v.yes = s.literal("true")
		ok = v.yes || s.literal("false")
	case protoreflect.EnumKind:
		raw, plain, quoted := s.text()
		if !quoted || !plain {
			return v, false
		}
		if value := f.values.ByName(protoreflect.Name(raw)); value != nil {
			v.number, ok = int64(value.Number()), true
		}
	}
	return v, ok
}

// readPlain reads the parts of a body that make up an event. It returns nil for a body that is not valid or unusual.
func readPlain(body []byte) *livekit.WebhookEvent {
	var space struct { // one allocation for all
		event       livekit.WebhookEvent
		room        livekit.Room
		participant livekit.ParticipantInfo
		permission  livekit.ParticipantPermission
	}
	w, s := &space.event, scanner{in: body}
	none := func(protoreflect.Name) bool { return false }
	ofPerson := func(name protoreflect.Name) bool {
		if name == "attributes" {
			w.Participant.Attributes = map[string]string{}
			return s.attributes(w.Participant.Attributes)
		}
		w.Participant.Permission = &space.permission
		return s.message(plainPermission, none, func(name protoreflect.Name, v plainValue) {
			if name == "hidden" {
				w.Participant.Permission.Hidden = v.yes
			}
		})
	}
	ok := s.message(plainWebhook, func(name protoreflect.Name) bool {
		if name == "room" {
			w.Room = &space.room
			return s.message(plainRoom, none, func(name protoreflect.Name, v plainValue) { setRoom(w.Room, name, v) })
		}
		w.Participant = &space.participant
		return s.message(plainParticipant, ofPerson, func(name protoreflect.Name, v plainValue) { setParticipant(w.Participant, name, v) })
	}, func(name protoreflect.Name, v plainValue) {
		switch name {
		case "event":
			w.Event = v.text
		case "id":
			w.Id = v.text
		case "created_at":
			w.CreatedAt = v.number
		}
	})
	if !ok || !s.end() {
		return nil
	}
	return w
}

func setRoom(r *livekit.Room, name protoreflect.Name, v plainValue) {
	switch name {
	case "sid":
		r.Sid = v.text
	case "name":
		r.Name = v.text
	case "metadata":
		r.Metadata = v.text
	case "creation_time":
		r.CreationTime = v.number
	case "creation_time_ms":
		r.CreationTimeMs = v.number
	case "max_participants":
		r.MaxParticipants = uint32(v.number)
	}
}

func setParticipant(p *livekit.ParticipantInfo, name protoreflect.Name, v plainValue) {
	switch name {
	case "sid":
		p.Sid = v.text
	case "identity":
		p.Identity = v.text
	case "name":
		p.Name = v.text
	case "metadata":
		p.Metadata = v.text
	case "joined_at":
		p.JoinedAt = v.number
	case "joined_at_ms":
		p.JoinedAtMs = v.number
	case "version":
		p.Version = uint32(v.number)
	case "kind":
		p.Kind = livekit.ParticipantInfo_Kind(v.number)
	case "disconnect_reason":
		p.DisconnectReason = livekit.DisconnectReason(v.number)
	}
}

// attributes reads a map of strings, each key once.
func (s *scanner) attributes(to map[string]string) bool {
	return s.object(func(name []byte) bool {
		key := string(name)
		_, twice := to[key]
		value, ok := s.unquoted()
		to[key] = value
		return ok && !twice && len(to) <= maxAttributes && utf8.ValidString(key)
	})
}
