package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

// These functions convert events with the generated types, which AppendEvent and ParseEvent do not use.

func newEvent(e reconcile.Event) *wire.Event {
	return &wire.Event{Id: []byte(e.ID), Kind: int64(e.Kind), CreatedAt: e.CreatedAt, Expires: e.Expires,
		Room: newRoom(e.Room), Participant: newParticipant(e.Participant), Reason: []byte(e.Reason)}
}

func eventOf(x *wire.Event) reconcile.Event {
	return reconcile.Event{ID: string(x.GetId()), Kind: reconcile.EventKind(x.GetKind()), CreatedAt: x.GetCreatedAt(),
		Expires: x.GetExpires(), Room: roomOf(x.GetRoom()), Participant: participantOf(x.GetParticipant()), Reason: string(x.GetReason())}
}

func newRoom(r reconcile.RoomInfo) *wire.Room {
	return &wire.Room{Name: []byte(r.Name), Sid: []byte(r.SID), CreatedMs: r.CreatedMs, MaxParticipants: r.MaxParticipants,
		Metadata: []byte(r.Metadata)}
}

func roomOf(x *wire.Room) reconcile.RoomInfo {
	return reconcile.RoomInfo{Name: string(x.GetName()), SID: string(x.GetSid()), CreatedMs: x.GetCreatedMs(),
		MaxParticipants: x.GetMaxParticipants(), Metadata: string(x.GetMetadata())}
}

func newParticipant(p reconcile.Participant) *wire.Participant {
	x := &wire.Participant{Identity: []byte(p.Identity), JoinedAt: p.JoinedAt, Metadata: []byte(p.Metadata), Sid: []byte(p.SID),
		Name: []byte(p.Name), Kind: []byte(p.Kind), Hidden: p.Hidden, Version: p.Version}
	for k, v := range p.Attributes {
		x.Attributes = append(x.Attributes, &wire.Attribute{Key: []byte(k), Value: []byte(v)})
	}
	return x
}

func participantOf(x *wire.Participant) reconcile.Participant {
	p := reconcile.Participant{Identity: string(x.GetIdentity()), JoinedAt: x.GetJoinedAt(), Metadata: string(x.GetMetadata()),
		SID: string(x.GetSid()), Name: string(x.GetName()), Kind: string(x.GetKind()), Hidden: x.GetHidden(),
		Version: x.GetVersion()}
	for _, a := range x.GetAttributes() {
		if p.Attributes == nil {
			p.Attributes = make(map[string]string, len(x.GetAttributes()))
		}
		p.Attributes[string(a.GetKey())] = string(a.GetValue())
	}
	return p
}

// TestEventsAsTheGeneratedTypes draws events with all fields, so that it fails if a field is added to the type and not to
// the encoding. It checks both ways: the generated types read what AppendEvent writes, and ParseEvent reads what they write.
func TestEventsAsTheGeneratedTypes(t *testing.T) {
	t.Parallel()
	values := rapid.MakeCustom[reconcile.Event](bytesForStrings())
	rapid.Check(t, func(t *rapid.T) {
		v := values.Draw(t, "event")
		ours := wire.AppendEvent(nil, &v)
		var theirs wire.Event
		if err := proto.Unmarshal(ours, &theirs); err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		if d := cmp.Diff(v, eventOf(&theirs), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("the generated types read another event (-written +read):\n%s", d)
		}
		raw, err := proto.Marshal(newEvent(v))
		if err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		got, err := wire.ParseEvent(raw)
		if d := cmp.Diff(v, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Fatalf("another event is read (-written +read): %v\n%s", err, d)
		}
	})
}

// FuzzParseEvent checks that ParseEvent reads whatever the generated types read, with the same result.
func FuzzParseEvent(f *testing.F) {
	e := reconcile.Event{ID: "EV", Kind: 1, Room: reconcile.RoomInfo{Name: "r"}, Participant: reconcile.Participant{Identity: "i",
		Attributes: map[string]string{"k": "v"}}}
	f.Add(wire.AppendEvent(nil, &e))
	f.Add([]byte{0x52, 0})
	f.Add([]byte("\x2a\x00\x2a\x02\x0a\x00\x30\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := wire.ParseEvent(b)
		var theirs wire.Event
		if proto.Unmarshal(b, &theirs) != nil {
			return // they also refuse a message that is cut off within an unknown group
		}
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if d := cmp.Diff(eventOf(&theirs), got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("not the same (-generated +ours):\n%s", d)
		}
	})
}
