package client

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const clusterPath = "/api/cluster"

// Cluster is the answer to GET /api/cluster.
type Cluster struct {
	// Leader is empty while there is no leader.
	Leader  string   `json:"leader"`
	Term    uint64   `json:"term"`
	Epoch   uint64   `json:"epoch"`
	Members []Member `json:"members"`
}

// Member is one node of the cluster. Unknown fields are empty or 0.
type Member struct {
	ID string `json:"id"`
	// State is ready; unready (it answers, but takes no webhooks); unreachable (it owns rooms, but does not answer); or away
	// (it owns none: stopped, silent, withdrawn, or not joined yet).
	State string `json:"state"`
	// Voter reports whether the node votes in raft.
	Voter    bool   `json:"voter"`
	HTTPAddr string `json:"httpAddr"`
	NodeAddr string `json:"nodeAddr"`
	Rooms    int    `json:"rooms"` // rooms that it has in memory
	Version  string `json:"version"`
	// Occupancy counts the live rooms that it owns and the people in them; nil if it did not answer.
	Occupancy *Occupancy `json:"occupancy,omitempty"`
	// CannotReach lists the members that this one cannot reach directly. Its events for them go through another node;
	// Relayed counts those since its start.
	CannotReach []string `json:"cannotReach,omitempty"`
	Relayed     uint64   `json:"relayed,omitempty"`
	// CannotWrite lists the Redis masters, host:port, to which this member cannot commit.
	CannotWrite []string `json:"cannotWrite,omitempty"`
	// Why is the reason that a member gives for not being ready; empty for one that is ready or does not answer.
	Why string `json:"why,omitempty"`
}

// Answers reports whether the member answered the node that was asked.
func (m Member) Answers() bool {
	return m.State == "ready" || m.State == "unready" || m.Why != ""
}

// Votes counts the voters that answer, and those that must for a leader to be elected. silent are the others.
func (c Cluster) Votes() (answer, needed int, silent []Member) {
	voters := 0
	for _, m := range c.Members {
		switch {
		case !m.Voter:
			continue
		case m.Answers():
			answer++
		default:
			silent = append(silent, m)
		}
		voters++
	}
	return answer, voters/2 + 1, silent
}

// Summary says how many members are ready, and the state of each other one, such as "2 of 3 ready: n3 away". It is "" without members.
func (c Cluster) Summary() string {
	var other []string
	for _, m := range c.Members {
		if m.State != "ready" {
			other = append(other, m.ID+" "+m.State)
		}
	}
	if len(c.Members) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d ready", len(c.Members)-len(other), len(c.Members))
	if len(other) > 0 {
		text += ": " + strings.Join(other, ", ")
	}
	return text
}

// LiveRooms returns how many live rooms the member owns. An older node reports only its rooms in memory, some of which have
// finished.
func (m Member) LiveRooms() int {
	if m.Occupancy == nil {
		return m.Rooms
	}
	return m.Occupancy.Rooms
}

// Occupancy counts live rooms and the people in them.
type Occupancy struct {
	Rooms  int `json:"rooms"`
	People int `json:"people"`
}

// RemoveAnswer is the answer to RemoveNode.
type RemoveAnswer struct {
	Action    string    `json:"action"`
	ID        string    `json:"id"`
	Timestamp time.Time `json:"timestamp"`
}

func (a RemoveAnswer) action() string { return a.Action }

// Cluster returns the members of the cluster and the state of each.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	s, err := get[Cluster](ctx, c, clusterPath)
	if err == nil && s.Members == nil {
		return Cluster{}, ErrNotRollcall
	}
	return s, err
}

// RemoveNode removes a node from the cluster permanently; its process, if it runs, ends. It is refused (an Error with status
// 409) if too few voters would be left.
func (c *Client) RemoveNode(ctx context.Context, id string) (RemoveAnswer, error) {
	return done[RemoveAnswer](ctx, c, clusterPath, "remove", map[string]string{"action": "remove", "id": id})
}
