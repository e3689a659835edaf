package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Trouble is something that is wrong. Subject and What make a sentence. Todo says what that means and what to do. Error is the reason that the
// node gives, if it gives one.
type Trouble struct{ Subject, What, Todo, Error string }

// String returns the sentence, without a full stop.
func (t Trouble) String() string { return t.Subject + " " + t.What }

const missed = "The first sync after that repairs what was missed"

// missed says what repairs what webhooks missed.
func (s Status) missed() string {
	if !s.SyncServiceRunning {
		return "What was missed is repaired by the first sync after that, which nobody begins while the schedule is stopped"
	}
	return missed
}

// kept says what LiveKit's silence means for the data. empty is Report.RedisEmpty.
func kept(empty bool) string {
	if empty {
		return "nothing is removed; Redis holds no room now, and the live ones come back with the first good sync. "
	}
	return "nothing is removed; Redis keeps the last answer. "
}

// RedisTroubleAmong is RedisTrouble for a node of that cluster. A node that cannot use a Redis that others can use has given its rooms to them.
func (s Status) RedisTroubleAmong(nodes Cluster) *Trouble {
	t, takeOver, cut := s.RedisTrouble(), false, false
	for _, m := range nodes.Members {
		takeOver = takeOver || m.State == "ready" && len(m.CannotWrite) == 0
		cut = cut || m.ID == s.Node && m.State == "away"
	}
	if t != nil && takeOver && cut {
		t.Todo = "the others have taken over this node's rooms, and webhooks go on there. Check the network to Redis from here, and --redis-url. It comes back by itself"
	}
	return t
}

// RedisTrouble returns how Redis fails the node; nil while it answers.
func (s Status) RedisTrouble() *Trouble {
	if s.Redis == nil {
		return nil
	}
	t := &Trouble{Subject: "Redis", Error: s.Redis.Error}
	switch s.Redis.State {
	case "silent":
		t.What, t.Todo = "does not answer", "webhooks get 503, which LiveKit retries for about 15 s. Check Redis and --redis-url. "+s.missed()
	case "refuses":
		t.What, t.Todo = "takes no commits", "webhooks get 503, which LiveKit retries for about 15 s. The node's log says what to change. "+s.missed()
	case "partial":
		t.What, t.Todo = "answers in part", "webhooks for the rooms of the other masters get 503. Check those, or their replicas. "+s.missed()
	default:
		return nil
	}
	return t
}

// LiveKitTrouble returns how LiveKit failed the last sync; nil if it answered, or was not asked.
func (s Status) LiveKitTrouble() *Trouble {
	if s.LiveKit == nil {
		return nil
	}
	return faultTrouble("livekit_"+s.LiveKit.State, s.LiveKit.Error, s.LastSync != nil && s.LastSync.RedisEmpty)
}

// faultTrouble returns what the fault of a cycle means; nil for none. err is the cycle's error.
func faultTrouble(fault, err string, empty bool) *Trouble {
	switch fault {
	case "livekit_silent":
		return &Trouble{"LiveKit", "does not answer", kept(empty) + "Check LiveKit and --livekit-host", err}
	case "livekit_refuses":
		return &Trouble{"LiveKit", "refuses the API key", kept(empty) + "Compare --livekit-api-key and its secret with LiveKit's, and the clocks", err}
	case "livekit_limited":
		return &Trouble{"LiveKit", "allows no more requests now", kept(empty) + "Lower --livekit-rate, or lengthen --sync-interval", err}
	case "redis_silent":
		return &Trouble{"Redis", "did not answer", "no room was compared. Check Redis and --redis-url. The next sync repairs what was missed", err}
	}
	return nil
}

// LeaderTrouble returns why there is no leader, and which nodes must come back if too few voters answer; nil while there is a leader.
func (c Cluster) LeaderTrouble() *Trouble {
	answer, needed, silent := c.Votes()
	switch {
	case c.Leader != "":
		return nil
	case c.Members != nil && answer == 0 && len(silent) == 0:
		return &Trouble{"The cluster", "has no leader", "this node is in no cluster yet; `rollcall ready` on it says what it waits for", ""}
	case answer >= needed || len(silent) == 0:
		return &Trouble{"The cluster", "has no leader", "no sync runs and no node can join or leave until one is elected, mostly within two seconds", ""}
	}
	readable := ""
	if slices.ContainsFunc(c.Members, func(m Member) bool { return m.Answers() && len(m.CannotWrite) == 0 }) {
		readable = "; rooms can be read as Redis holds them"
	}
	return &Trouble{"The cluster", "has no leader", fmt.Sprintf("%d of %d voters can be reached, and %d must be: bring back %s. Until then webhooks get 503, no sync runs, "+
		"and no node can join or leave%s. %s", answer, answer+len(silent), needed, some(needed-answer, silent), readable, missed), ""}
}

// some names as many of the members as are needed.
func some(needed int, members []Member) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.ID
	}
	switch {
	case needed == len(names):
		return strings.Join(names, " and ")
	case needed == 1:
		return strings.Join(names, " or ")
	}
	return fmt.Sprintf("%d of %s", needed, strings.Join(names, ", "))
}

// Check returns nil while all is well, and otherwise an error that names each cause once. A node that is away is no trouble: its rooms have moved
// to the others, and it comes back by itself.
func (s Status) Check() error {
	var all []string
	for _, t := range s.troubles() {
		all = append(all, t.String())
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}

func (s Status) troubles() (all []Trouble) {
	if s.Leader == "" {
		all = append(all, Trouble{Subject: "The cluster", What: "has no leader"})
	}
	redis, livekit := s.RedisTrouble(), s.LiveKitTrouble()
	for _, t := range []*Trouble{redis, livekit} {
		if t != nil {
			all = append(all, *t)
		}
	}
	if !s.SyncServiceRunning {
		all = append(all, Trouble{Subject: "The schedule", What: "is stopped"})
	}
	last := s.LastSync
	if last == nil {
		return all
	}
	if last.Held != nil && last.Held.Rooms+last.Held.Participants > 0 {
		all = append(all, Trouble{Subject: "The breaker", What: "holds removals"})
	}
	if last.Result.Errors > 0 && redis == nil && livekit == nil {
		all = append(all, Trouble{Subject: "The last sync", What: "failed", Error: last.FirstError})
	}
	return all
}
