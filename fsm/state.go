// Package fsm holds what all nodes agree on: who belongs to the cluster, who leads it, whether the service runs,
// and the last reports. It promises that the same entries at the same log indexes give the same State on every
// node and after every restart, and that data which this build does not understand stops it instead of being lost.
// Never the contents of rooms.
//
// State is pure; FSM is the thin raft.FSM over it.
package fsm

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// Token orders leaders: generation first, then the log index at which the leader's claim was committed. A node's,
// a room's or a script's rule is always the same: a lower token than the one known is stale.
type Token struct {
	Generation uint64 `json:"generation"`
	Index      uint64 `json:"index"`
}

// Compare is negative when t is older than o, 0 when they are the same, positive when t is newer.
func (t Token) Compare(o Token) int {
	return cmp.Or(cmp.Compare(t.Generation, o.Generation), cmp.Compare(t.Index, o.Index))
}

// Member is one process that owns rooms. ID outlives restarts; Incarnation (the log index of its Join) does not.
type Member struct {
	ID          string `json:"id"`
	Incarnation uint64 `json:"incarnation"`
	// NodeAddr and HTTPAddr are host:port, as other nodes reach them.
	NodeAddr string `json:"nodeAddr,omitempty"`
	HTTPAddr string `json:"httpAddr,omitempty"`
	// Version is the build's, for people.
	Version string `json:"version,omitempty"`
	// HashVersion is the newest ownership hash that the member knows.
	HashVersion int `json:"hashVersion"`
	// Voter is of the first format, where it told of raft's configuration, which knows better.
	Voter bool `json:"voter,omitempty"`
}

// View is one immutable membership. Never change the Members of a View that you were given.
type View struct {
	// Epoch is the log index at which this view was committed; 0 before the first.
	Epoch uint64 `json:"epoch"`
	// HashVersion is the newest ownership hash that every member knows; 0 without members.
	HashVersion int `json:"hashVersion"`
	// Members are sorted by ID.
	Members []Member `json:"members,omitempty"`
}

// Member finds a member by its id.
func (v View) Member(id string) (Member, bool) {
	i, ok := v.find(id)
	if !ok {
		return Member{}, false
	}
	return v.Members[i], true
}

func (v View) find(id string) (int, bool) {
	return slices.BinarySearchFunc(v.Members, id, func(m Member, id string) int { return cmp.Compare(m.ID, id) })
}

// newView derives the hash's version from the members, so that a rolling upgrade switches hashes at one epoch.
func newView(epoch uint64, members []Member) View {
	v := View{Epoch: epoch, Members: members}
	for i, m := range members {
		if i == 0 || m.HashVersion < v.HashVersion {
			v.HashVersion = m.HashVersion
		}
	}
	return v
}

// Claim is the newest committed claim to lead.
type Claim struct {
	ID string `json:"id,omitempty"`
	// Index is the log index of the claim.
	Index uint64 `json:"index"`
}

// Kind names a report.
type Kind string

// The kinds of report that are kept, the last one of each.
const (
	KindSync    Kind = "sync"
	KindCleanup Kind = "cleanup"
	// KindCount is of the last sync cycle that counted for the breaker. Its JSON is a Count.
	KindCount Kind = "count"
)

// Count lets a sync cycle count for the breaker.
type Count struct {
	// At is when the cycle begins: Unix ms by the leader's clock.
	At int64 `json:"at"`
	// Spacing is how many ms lie at least between two cycles that count.
	Spacing int64 `json:"spacing"`
}

// Report is the last one of its kind. Its JSON is opaque here, but for KindCount.
type Report struct {
	// Token is that of the leader which wrote it, Index the log index of its entry.
	Token Token           `json:"token"`
	Index uint64          `json:"index"`
	JSON  json.RawMessage `json:"json"`
}

// State is a value: Apply gives a new one and never changes what the old one refers to, so a State may be read by
// anyone, at any time, without a lock. Whoever wants to change a part of it takes a Clone.
type State struct {
	// Applied is the log index of the last command.
	Applied uint64 `json:"applied"`
	// Generation tells one life of the cluster's data from the next; 0 before it was founded.
	Generation uint64 `json:"generation"`
	View       View   `json:"view"`
	// Past are the views before, oldest first, at most pastViews of them.
	Past []View `json:"past,omitempty"`
	// Removed are the nodes that an operator has removed and that have not joined since: at which log index.
	Removed map[string]uint64 `json:"removed,omitempty"`
	Leader  Claim             `json:"leader"`
	// Stopped is the service switch, so named that a new cluster runs.
	Stopped bool            `json:"stopped"`
	Reports map[Kind]Report `json:"reports,omitempty"`
}

// Token is the newest leader's.
func (s State) Token() Token { return Token{Generation: s.Generation, Index: s.Leader.Index} }

// Running tells whether the schedule of sync and cleanup is on.
func (s State) Running() bool { return !s.Stopped }

// Clone shares nothing with s.
func (s State) Clone() State {
	s.View.Members = slices.Clone(s.View.Members)
	s.Past = slices.Clone(s.Past)
	for i := range s.Past {
		s.Past[i].Members = slices.Clone(s.Past[i].Members)
	}
	s.Removed, s.Reports = maps.Clone(s.Removed), maps.Clone(s.Reports)
	for kind, report := range s.Reports {
		report.JSON = slices.Clone(report.JSON)
		s.Reports[kind] = report
	}
	return s
}

// Result is what a command came to. It holds plain data, so that it can travel to the node that asked.
type Result struct {
	// Index is the log index of the entry: a Join's incarnation, a view's epoch.
	Index uint64 `json:"index"`
	// Term is the raft term of the entry; State.Apply, which does not know it, leaves it 0.
	Term uint64 `json:"term"`
	// Token is the leader's token after the entry.
	Token Token `json:"token"`
	// Refused is empty when the command was carried out.
	Refused Refusal `json:"refused,omitempty"`
}

// Err is nil, or the Refusal.
func (r Result) Err() error {
	if r.Refused == "" {
		return nil
	}
	return r.Refused
}

// Refusal says why a committed command changed nothing. It is an error that errors.Is compares by value.
type Refusal string

// The refusals.
const (
	// AlreadyFounded: the generation only rises.
	AlreadyFounded Refusal = "the cluster already has that generation or a later one"
	// NotFounded: a view without a generation could not be ordered among earlier lives of the cluster.
	NotFounded Refusal = "the cluster has no generation yet"
	// NotMember: nobody of that id and incarnation is in the view.
	NotMember Refusal = "no such member and incarnation in the view"
	// StaleToken: another leader has claimed since.
	StaleToken Refusal = "another leader has claimed since"
	// TooSoon: the last cycle that counted began less than the spacing before.
	TooSoon Refusal = "another sync cycle has counted within the sync interval"
	// TooLarge: a report exceeds MaxReportBytes.
	TooLarge Refusal = "the report is too large"
	// Invalid: a field of the command is missing or unknown.
	Invalid Refusal = "a field of the command is missing or unknown"
	// OutOfOrder: the entry's index is not above the last one.
	OutOfOrder Refusal = "the entry was applied before"
)

// Error is the reason.
func (r Refusal) Error() string { return string(r) }
