package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Cluster reports on the cluster's nodes and removes them by hand.
type Cluster interface {
	// Cluster returns the membership as this node knows it, and what each member reports about itself.
	Cluster(ctx context.Context) (Membership, error)
	// Remove removes a node permanently. Errors: ErrNoLeader, a Refused, ErrUnavailable.
	Remove(ctx context.Context, id string) error
}

// Membership is the answer of GET /api/cluster. Leader is empty while there is none.
type Membership struct {
	Leader  string   `json:"leader"`
	Term    uint64   `json:"term"`
	Epoch   uint64   `json:"epoch"`
	Members []Member `json:"members"`
}

// Member is one node. State is ready, unready, unreachable or away; unknown fields are empty or 0.
type Member struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Voter    bool   `json:"voter"`
	HTTPAddr string `json:"httpAddr"`
	NodeAddr string `json:"nodeAddr"`
	Rooms    int    `json:"rooms"` // rooms that the node has in memory, including those that finished in the last minutes
	// Occupancy counts the live rooms that the node owns and the people in them.
	Occupancy *reconcile.Occupancy `json:"occupancy,omitempty"`
	Version   string               `json:"version"`
	// CannotReach lists the members that this one cannot reach directly. Its events for them go through another node;
	// Relayed counts those since its start.
	CannotReach []string `json:"cannotReach,omitempty"`
	Relayed     uint64   `json:"relayed,omitempty"`
	// CannotWrite lists the Redis masters, host:port, to which this member cannot commit.
	CannotWrite []string `json:"cannotWrite,omitempty"`
	// Why is the reason that a member gives for not being ready; empty for one that is ready or does not answer.
	Why string `json:"why,omitempty"`
}

const invalidClusterAction = `Invalid action. Use: {"action":"remove","id":"the node's name"}`

// clusterAction is the body of POST /api/cluster.
type clusterAction struct {
	Action string `json:"action"`
	ID     string `json:"id"`
}

// clusterAnswer is the answer to a clusterAction.
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

// removeNode answers POST /api/cluster.
func (a *api) removeNode(c *call) (any, error) {
	var req clusterAction
	err := c.readObject(`{"action":"remove","id":"n2"}`, map[string]field{"action": {&req.Action, invalidClusterAction}, "id": {&req.ID, invalidClusterAction}})
	c.audit.target = req.ID
	if err != nil {
		return nil, err
	}
	if req.Action != "remove" || req.ID == "" {
		return nil, refuse(http.StatusBadRequest, invalidClusterAction)
	}
	return a.actions.do(c.r.Context(), true, c.audit, func(ctx context.Context) (any, error) {
		if err := a.ports.Cluster.Remove(ctx, req.ID); err != nil {
			return nil, err
		}
		return clusterAnswer{clusterAction: req, Timestamp: stamp(time.Now())}, nil
	})
}
