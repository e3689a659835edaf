package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Cluster tells of the cluster's nodes and mends by hand.
type Cluster interface {
	// Cluster is the membership as this node knows it, and what each member says of itself.
	Cluster(ctx context.Context) (ClusterStatus, error)
	// Remove takes a node out for good. Errors: ErrNoLeader, a Refused, ErrUnavailable.
	Remove(ctx context.Context, id string) error
}

// ClusterStatus is GET /api/cluster. Leader is empty while there is none.
type ClusterStatus struct {
	Leader  string   `json:"leader"`
	Term    uint64   `json:"term"`
	Epoch   uint64   `json:"epoch"`
	Members []Member `json:"members"`
}

// Member is one node. State is ready, unready, unreachable or away; what is not known of it is empty or 0.
type Member struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Voter    bool   `json:"voter"`
	HTTPAddr string `json:"httpAddr"`
	NodeAddr string `json:"nodeAddr"`
	Rooms    int    `json:"rooms"` // that the node has at hand, finished ones of the last minutes included
	Version  string `json:"version"`
	// CannotReach are the members that this one does not reach directly. Its events for them go through another node;
	// Relayed counts those since its start.
	CannotReach []string `json:"cannotReach,omitempty"`
	Relayed     uint64   `json:"relayed,omitempty"`
	// CannotWrite are the masters of Redis, host:port, to which this member's commits do not go through.
	CannotWrite []string `json:"cannotWrite,omitempty"`
}

const invalidClusterAction = `Invalid action. Use: {"action":"remove","id":"the node's name"}`

// clusterAction is the body of POST /api/cluster.
type clusterAction struct {
	Action string `json:"action"`
	ID     string `json:"id"`
}

// clusterAnswer is what it is answered with.
type clusterAnswer struct {
	clusterAction
	Timestamp string `json:"timestamp"`
}

// cluster answers GET /api/cluster.
func (a *api) cluster(c *call) (any, error) {
	s, err := a.ports.Cluster.Cluster(c.r.Context())
	if err != nil {
		return nil, err
	}
	if s.Members == nil {
		s.Members = []Member{}
	}
	return s, nil
}

// mend answers POST /api/cluster.
func (a *api) mend(c *call) (any, error) {
	body, err := c.readSmall(maxActionBytes)
	if err != nil {
		return nil, err
	}
	var req clusterAction
	if json.Unmarshal(body, &req) != nil || req.Action != "remove" || req.ID == "" {
		return nil, refuse(http.StatusBadRequest, invalidClusterAction)
	}
	return a.actions.do(c.r.Context(), true, func(ctx context.Context) (any, error) {
		if err := a.ports.Cluster.Remove(ctx, req.ID); err != nil {
			return nil, err
		}
		return clusterAnswer{clusterAction: req, Timestamp: stamp(time.Now())}, nil
	})
}
