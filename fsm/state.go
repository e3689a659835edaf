// Package fsm holds what all nodes agree on: who belongs to the cluster, who leads it, whether the service runs, and
// the last reports. It never holds the contents of rooms. The package promises that the same entries at the same log
// indexes give the same State on every node and after every restart. Data that this build does not understand stops
// the FSM instead of being lost.
//
// State is pure; FSM is the thin raft.FSM over it.
package fsm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// MaxNodeID is the longest name of a node, in bytes.
const MaxNodeID = 64

var nodeID = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9][A-Za-z0-9._-]{0,%d}$`, MaxNodeID-1))

// ValidNodeID reports whether a text may name a node: 1 to MaxNodeID letters, digits, dots, dashes and underscores, of which the first is a letter or a digit.
func ValidNodeID(s string) bool { return nodeID.MatchString(s) }

// Member is one process that owns rooms. ID outlives restarts; Incarnation (the log index of its Join) does not.
type Member struct {
	ID          string `json:"id"`
	Incarnation uint64 `json:"incarnation"`
	// NodeAddr and HTTPAddr are host:port, as other nodes reach them.
	NodeAddr string `json:"nodeAddr,omitempty"`
	HTTPAddr string `json:"httpAddr,omitempty"`
	// Version is the build's version, for display only.
	Version string `json:"version,omitempty"`
	// HashVersion is the newest ownership hash that the member knows.
	HashVersion int `json:"hashVersion"`
	// Voter is a field of the first format. It repeated raft's configuration, which is the authority.
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

// Member returns the member with that id.
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

// newView returns a view that takes its HashVersion from the members, so that a rolling upgrade switches hashes at one epoch.
func newView(epoch uint64, members []Member) View {
	v := View{Epoch: epoch, Members: members}
	for i, m := range members {
		if i == 0 || m.HashVersion < v.HashVersion {
			v.HashVersion = m.HashVersion
		}
	}
	return v
}

// Claim is the newest committed claim to leadership.
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
	// KindCount is the report of the last sync cycle that counted for the breaker. Its JSON is a Count.
	KindCount Kind = "count"
)

// Count is the report that makes a sync cycle count for the breaker.
type Count struct {
	// At is when the cycle begins: Unix ms by the leader's clock.
	At int64 `json:"at"`
	// Spacing is the minimum time between the beginnings of two cycles that count, in ms.
	Spacing int64 `json:"spacing"`
}

// Report is the last report of its kind. Its JSON is opaque here, except for KindCount.
type Report struct {
	// Token is the token of the leader that wrote the report. Index is the log index of its entry.
	Token reconcile.Token `json:"token"`
	Index uint64          `json:"index"`
	JSON  json.RawMessage `json:"json"`
}

// State is a value: Apply returns a new one and never changes what the old one refers to. So any goroutine may read a
// State at any time without a lock. To change a part of a State, take a Clone.
type State struct {
	// Applied is the log index of the last command.
	Applied uint64 `json:"applied"`
	// Format is the newest format of all commands so far: 0 for FirstFormat. A build that does not know it cannot be in the cluster any more.
	Format int `json:"format,omitempty"`
	// Generation distinguishes the successive lives of the cluster's data. It is 0 before the cluster is founded.
	Generation uint64 `json:"generation"`
	View       View   `json:"view"`
	// Past holds the previous views, oldest first, at most pastViews of them.
	Past []View `json:"past,omitempty"`
	// Removed holds the nodes that an operator has removed and that have not joined since, each with the log index of the removal.
	Removed map[string]uint64 `json:"removed,omitempty"`
	Leader  Claim             `json:"leader"`
	// Stopped is the service switch. It is named so that its zero value lets a new cluster run.
	Stopped bool            `json:"stopped"`
	Reports map[Kind]Report `json:"reports,omitempty"`
}

// Token returns the newest leader's token.
func (s State) Token() reconcile.Token {
	return reconcile.Token{Generation: s.Generation, Index: s.Leader.Index}
}

// Running reports whether the schedule of sync and cleanup is on.
func (s State) Running() bool { return !s.Stopped }

// Clone returns a copy of s that shares nothing with s.
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

// Result is the outcome of a command. It holds plain data, so that it can be sent to the node that asked.
type Result struct {
	// Index is the log index of the entry: a Join's incarnation, a view's epoch.
	Index uint64 `json:"index"`
	// Term is the raft term of the entry; State.Apply, which does not know it, leaves it 0.
	Term uint64 `json:"term"`
	// Token is the leader's token after the entry.
	Token reconcile.Token `json:"token"`
	// Refused is empty when the command was carried out.
	Refused Refusal `json:"refused,omitempty"`
}

// Err returns the Refusal, or nil if there is none.
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
	// NotMember: no member with that id and incarnation is in the view.
	NotMember Refusal = "no such member and incarnation in the view"
	// StaleToken: another leader has claimed since.
	StaleToken Refusal = "another leader has claimed since"
	// TooSoon: the last cycle that counted began less than the spacing before or after.
	TooSoon Refusal = "another sync cycle has counted within the sync interval"
	// TooLarge: a report exceeds MaxReportBytes.
	TooLarge Refusal = "the report is too large"
	// Invalid: a field of the command is missing or unknown.
	Invalid Refusal = "a field of the command is missing or unknown"
	// OutOfOrder: the entry's index is not above the last one.
	OutOfOrder Refusal = "the entry was applied before"
)

// Error returns the reason.
func (r Refusal) Error() string { return string(r) }
