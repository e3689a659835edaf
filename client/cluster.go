package client

import (
	"context"
	"net/http"
	"time"
)

const clusterPath = "/api/cluster"

// Cluster is the answer to GET /api/cluster.
type Cluster struct {
	// Leader is empty while there is none.
	Leader  string   `json:"leader"`
	Term    uint64   `json:"term"`
	Epoch   uint64   `json:"epoch"`
	Members []Member `json:"members"`
}

// Member is one node of the cluster. What is not known of it is empty or 0.
type Member struct {
	ID string `json:"id"`
	// State is ready; unready (it answers, and takes no webhooks); unreachable (it
	// owns rooms, and does not answer); or away (it owns none: stopped, silent,
	// stepped aside, or not joined yet).
	State string `json:"state"`
	// Voter tells whether it votes in raft.
	Voter    bool   `json:"voter"`
	HTTPAddr string `json:"httpAddr"`
	NodeAddr string `json:"nodeAddr"`
	Rooms    int    `json:"rooms"` // that it has at hand
	Version  string `json:"version"`
	// CannotReach are the members that this one does not reach directly. Its events for them go through another node;
	// Relayed counts those since its start.
	CannotReach []string `json:"cannotReach,omitempty"`
	Relayed     uint64   `json:"relayed,omitempty"`
	// CannotWrite are the masters of Redis, host:port, to which this member's commits do not go through.
	CannotWrite []string `json:"cannotWrite,omitempty"`
}

// RemoveAnswer is the answer to RemoveNode.
type RemoveAnswer struct {
	Action    string    `json:"action"`
	ID        string    `json:"id"`
	Timestamp time.Time `json:"timestamp"`
}

// Cluster asks who belongs to the cluster, and how each node is.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	var s Cluster
	if err := c.do(ctx, http.MethodGet, clusterPath, nil, &s); err != nil {
		return Cluster{}, err
	}
	if s.Members == nil {
		return Cluster{}, ErrNotRollcall
	}
	return s, nil
}

// RemoveNode takes a node out of the cluster for good; its process, if it runs,
// ends. It is refused (an Error of status 409) when too few voters would be left.
func (c *Client) RemoveNode(ctx context.Context, id string) (RemoveAnswer, error) {
	var answer RemoveAnswer
	in := struct {
		Action string `json:"action"`
		ID     string `json:"id"`
	}{"remove", id}
	if err := c.do(ctx, http.MethodPost, clusterPath, in, &answer); err != nil {
		return RemoveAnswer{}, err
	}
	return answer, nil
}
