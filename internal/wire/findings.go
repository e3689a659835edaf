package wire

import (
	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// NewFindings returns the message for what an owner reports about a round.
func NewFindings(f actors.Findings) *Findings {
	x := &Findings{Examined: int64(f.Examined), Errors: int64(f.Errors), Changed: int64(f.Changed), Tally: newTally(f.Tally),
		Missing: texts(f.Missing), Agreed: texts(f.Agreed), Moved: texts(f.Moved), Err: []byte(f.Err),
		PassedOver: int64(f.PassedOver.Count), PassedFirst: []byte(f.PassedOver.First), Unanswered: texts(f.Unanswered),
		Unlooked: texts(f.Unlooked)}
	for room, list := range f.Differences {
		d := &Differences{Room: []byte(room), List: make([]*Difference, len(list))}
		for i, one := range list {
			d.List[i] = newDifference(one)
		}
		x.Differences = append(x.Differences, d)
	}
	return x
}

// Value returns the findings that the message carries.
func (x *Findings) Value() actors.Findings {
	f := actors.Findings{Examined: int(x.GetExamined()), Errors: int(x.GetErrors()), Changed: int(x.GetChanged()),
		Tally: x.GetTally().value(), Missing: strings(x.GetMissing()), Agreed: strings(x.GetAgreed()),
		Moved: strings(x.GetMoved()), Err: string(x.GetErr()), Unanswered: strings(x.GetUnanswered()), Unlooked: strings(x.GetUnlooked()),
		PassedOver: reconcile.PassedOver{Count: int(x.GetPassedOver()), First: string(x.GetPassedFirst())}}
	for _, d := range x.GetDifferences() {
		if f.Differences == nil {
			f.Differences = make(map[string][]reconcile.Difference, len(x.GetDifferences()))
		}
		list := make([]reconcile.Difference, len(d.GetList()))
		for i, one := range d.GetList() {
			list[i] = one.value()
		}
		f.Differences[string(d.GetRoom())] = list // also an empty list: the room was looked at
	}
	return f
}

func newTally(t reconcile.Tally) *Tally {
	x := &Tally{Rooms: int64(t.Rooms), Participants: int64(t.Participants), MissingRooms: int64(t.MissingRooms),
		MissingParticipants: int64(t.MissingParticipants), AgreedRooms: int64(t.AgreedRooms),
		AgreedParticipants: int64(t.AgreedParticipants), Cleaned: int64(t.Cleaned),
		Deferred: int64(t.Deferred), DeferredRooms: int64(t.DeferredRooms), DeferredParticipants: int64(t.DeferredParticipants)}
	for reason, n := range t.Drift {
		x.Drift = append(x.Drift, &Drift{Reason: []byte(reason), Count: int64(n)})
	}
	return x
}

func (x *Tally) value() reconcile.Tally {
	t := reconcile.Tally{Rooms: int(x.GetRooms()), Participants: int(x.GetParticipants()), MissingRooms: int(x.GetMissingRooms()),
		MissingParticipants: int(x.GetMissingParticipants()), AgreedRooms: int(x.GetAgreedRooms()),
		AgreedParticipants: int(x.GetAgreedParticipants()), Cleaned: int(x.GetCleaned()),
		Deferred: int(x.GetDeferred()), DeferredRooms: int(x.GetDeferredRooms()), DeferredParticipants: int(x.GetDeferredParticipants())}
	for _, d := range x.GetDrift() {
		if t.Drift == nil {
			t.Drift = make(map[reconcile.Reason]int, len(x.GetDrift()))
		}
		t.Drift[reconcile.Reason(d.GetReason())] = int(d.GetCount())
	}
	return t
}

func newDifference(d reconcile.Difference) *Difference {
	return &Difference{Room: []byte(d.Room), Change: []byte(d.Change), Identity: []byte(d.Identity), Sid: []byte(d.SID),
		Reason: []byte(d.Reason)}
}

func (x *Difference) value() reconcile.Difference {
	return reconcile.Difference{Room: string(x.GetRoom()), Change: reconcile.ChangeType(x.GetChange()),
		Identity: string(x.GetIdentity()), SID: string(x.GetSid()), Reason: reconcile.Reason(x.GetReason())}
}
