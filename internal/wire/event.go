package wire

import "github.com/rollcallhq/rollcall/reconcile"

// NewEvent carries an event.
func NewEvent(e reconcile.Event) *Event {
	return &Event{Id: []byte(e.ID), Kind: int64(e.Kind), CreatedAt: e.CreatedAt, Expires: e.Expires,
		Room: newRoom(e.Room), Participant: newParticipant(e.Participant), Reason: []byte(e.Reason)}
}

// Value gives the event back.
func (x *Event) Value() reconcile.Event {
	return reconcile.Event{ID: string(x.GetId()), Kind: reconcile.EventKind(x.GetKind()), CreatedAt: x.GetCreatedAt(),
		Expires: x.GetExpires(), Room: x.GetRoom().value(), Participant: x.GetParticipant().value(), Reason: string(x.GetReason())}
}

func newRoom(r reconcile.RoomInfo) *Room {
	return &Room{Name: []byte(r.Name), Sid: []byte(r.SID), CreatedMs: r.CreatedMs, MaxParticipants: r.MaxParticipants,
		Metadata: []byte(r.Metadata)}
}

func (x *Room) value() reconcile.RoomInfo {
	return reconcile.RoomInfo{Name: string(x.GetName()), SID: string(x.GetSid()), CreatedMs: x.GetCreatedMs(),
		MaxParticipants: x.GetMaxParticipants(), Metadata: string(x.GetMetadata())}
}

func newParticipant(p reconcile.Participant) *Participant {
	x := &Participant{Identity: []byte(p.Identity), JoinedAt: p.JoinedAt, Metadata: []byte(p.Metadata), Sid: []byte(p.SID),
		Name: []byte(p.Name), Kind: []byte(p.Kind), Hidden: p.Hidden, Version: p.Version}
	for k, v := range p.Attributes {
		x.Attributes = append(x.Attributes, &Attribute{Key: []byte(k), Value: []byte(v)})
	}
	return x
}

func (x *Participant) value() reconcile.Participant {
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

func newToken(t reconcile.Token) *Token { return &Token{Generation: t.Generation, Index: t.Index} }

func (x *Token) value() reconcile.Token {
	return reconcile.Token{Generation: x.GetGeneration(), Index: x.GetIndex()}
}

// texts makes bytes of strings: see rollcall.proto.
func texts(all []string) [][]byte {
	if len(all) == 0 {
		return nil
	}
	out := make([][]byte, len(all))
	for i, s := range all {
		out[i] = []byte(s)
	}
	return out
}

func strings(all [][]byte) []string {
	if len(all) == 0 {
		return nil
	}
	out := make([]string, len(all))
	for i, b := range all {
		out[i] = string(b)
	}
	return out
}
