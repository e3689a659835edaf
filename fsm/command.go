package fsm

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// MaxReportBytes bounds a report's JSON. It is one of the replicated rules: nodes with different bounds would
// disagree, so changing it takes a new version of the command.
const MaxReportBytes = 256 << 10

// Command is one entry of the log. This file has all types of commands.
type Command interface {
	// op names the command in the log.
	op() string
	// apply changes s, which it owns, but nothing that s refers to. If it returns a refusal, it has changed nothing.
	apply(s *State, index uint64) Refusal
}

// Found sets the generation, or raises it if another cluster has used the same Redis since. It never lowers it.
type Found struct {
	Generation uint64 `json:"generation"`
}

// ClaimLeadership makes its entry's index the leader's token.
type ClaimLeadership struct {
	ID string `json:"id"`
}

// Join adds a member, or replaces the one with that id. The entry's index is the member's incarnation and the new epoch.
type Join struct {
	ID          string `json:"id"`
	NodeAddr    string `json:"nodeAddr,omitempty"`
	HTTPAddr    string `json:"httpAddr,omitempty"`
	Version     string `json:"version,omitempty"`
	HashVersion int    `json:"hashVersion"`
	// Voter is a field of the first format; see Member.
	Voter bool `json:"voter,omitempty"`
}

// Leave removes only the member with that incarnation: a late Leave does not affect a process that has joined since.
type Leave struct {
	ID          string `json:"id"`
	Incarnation uint64 `json:"incarnation"`
}

// Remove takes a node out of the view on behalf of an operator. The node's process must not come back by itself.
type Remove struct {
	ID string `json:"id"`
}

// SetService switches the schedule of sync and cleanup on or off.
type SetService struct {
	Running bool `json:"running"`
}

// RecordReport keeps the last report of its kind, unless its token is not the newest leader's.
type RecordReport struct {
	Kind  Kind            `json:"kind"`
	Token reconcile.Token `json:"token"`
	JSON  json.RawMessage `json:"json"`
}

// Apply returns the state after cmd, which was committed at index. Refused or not, the index counts as applied.
func (s State) Apply(index uint64, cmd Command) (State, Result) {
	if index <= s.Applied {
		return s, Result{Index: index, Token: s.Token(), Refused: OutOfOrder}
	}
	s.Applied = index
	if format := FormatOf(cmd); format > FirstFormat {
		s.Format = max(s.Format, format)
	}
	refused := cmd.apply(&s, index)
	return s, Result{Index: index, Token: s.Token(), Refused: refused}
}

func (Found) op() string { return "found" }

func (c Found) apply(s *State, _ uint64) Refusal {
	switch {
	case c.Generation == 0:
		return Invalid
	case s.Generation >= c.Generation:
		return AlreadyFounded
	}
	s.Generation = c.Generation
	return ""
}

func (ClaimLeadership) op() string { return "claim" }

func (c ClaimLeadership) apply(s *State, index uint64) Refusal {
	if c.ID == "" {
		return Invalid
	}
	s.Leader = Claim{ID: c.ID, Index: index}
	return ""
}

func (Join) op() string { return "join" }

func (c Join) apply(s *State, index uint64) Refusal {
	switch {
	case c.ID == "" || c.HashVersion < 1:
		return Invalid
	case s.Generation == 0:
		return NotFounded
	}
	m := Member{ID: c.ID, Incarnation: index, NodeAddr: c.NodeAddr, HTTPAddr: c.HTTPAddr,
		Version: c.Version, HashVersion: c.HashVersion, Voter: c.Voter}
	members := slices.Clone(s.View.Members)
	if i, ok := s.View.find(c.ID); ok {
		members[i] = m
	} else {
		members = slices.Insert(members, i, m)
	}
	if _, ok := s.Removed[c.ID]; ok {
		s.Removed = maps.Clone(s.Removed)
		delete(s.Removed, c.ID)
	}
	s.setView(newView(index, members))
	return ""
}

func (Leave) op() string { return "leave" }

func (c Leave) apply(s *State, index uint64) Refusal {
	i, ok := s.View.find(c.ID)
	if !ok || s.View.Members[i].Incarnation != c.Incarnation {
		return NotMember
	}
	s.setView(newView(index, slices.Delete(slices.Clone(s.View.Members), i, i+1)))
	return ""
}

func (Remove) op() string { return "remove" }

func (c Remove) apply(s *State, index uint64) Refusal {
	if c.ID == "" {
		return Invalid
	}
	removed := maps.Clone(s.Removed)
	if removed == nil {
		removed = map[string]uint64{}
	}
	removed[c.ID] = index
	s.Removed = removed
	if i, ok := s.View.find(c.ID); ok {
		s.setView(newView(index, slices.Delete(slices.Clone(s.View.Members), i, i+1)))
	}
	return ""
}

func (SetService) op() string { return "service" }

func (c SetService) apply(s *State, _ uint64) Refusal {
	s.Stopped = !c.Running
	return ""
}

func (RecordReport) op() string { return "report" }

func (c RecordReport) apply(s *State, index uint64) Refusal {
	known := c.Kind == KindSync || c.Kind == KindCleanup || c.Kind == KindCount
	switch {
	case !known || len(c.JSON) == 0:
		return Invalid
	case len(c.JSON) > MaxReportBytes:
		return TooLarge
	case c.Token != s.Token():
		return StaleToken
	}
	if c.Kind == KindCount {
		if refused := s.countRefusal(c.JSON); refused != "" {
			return refused
		}
	}
	reports := maps.Clone(s.Reports)
	if reports == nil {
		reports = map[Kind]Report{}
	}
	reports[c.Kind] = Report{Token: c.Token, Index: index, JSON: c.JSON}
	s.Reports = reports
	return ""
}

// CountCycle returns the command that asks whether a sync cycle counts for the breaker. It is refused if a cycle that counts began less
// than Spacing before or after. So leaders that follow each other within seconds do not agree three times on the same empty answer. The
// command is a report of a kind of its own. Older builds refuse it, as they refuse every report of an unknown kind, and continue.
func CountCycle(token reconcile.Token, c Count) RecordReport {
	data, _ := json.Marshal(c) // two numbers always marshal
	return RecordReport{Kind: KindCount, Token: token, JSON: data}
}

// countRefusal returns why a cycle does not count, or "". It looks in both directions, because of two leaders' clocks either may be ahead.
func (s *State) countRefusal(data json.RawMessage) Refusal {
	var now, last Count
	if json.Unmarshal(data, &now) != nil || now.At <= 0 || now.Spacing < 0 {
		return Invalid
	}
	if r, ok := s.Reports[KindCount]; !ok || json.Unmarshal(r.JSON, &last) != nil {
		return ""
	}
	if since := now.At - last.At; -now.Spacing < since && since < now.Spacing {
		return TooSoon
	}
	return ""
}
