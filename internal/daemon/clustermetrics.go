package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/node"
)

// observe adds the metrics of the cluster and of the node's readiness.
func (m *metrics) observe(n *node.Node) {
	m.leader.cluster(n.Ownership)
	m.gauge("ready", "1 while this node takes webhooks, as /readyz says, apart from a node that drains.", func() float64 { return oneIf(n.Ready() == nil) })
	m.registry.MustRegister(newClusterMetrics(func() cluster.Status {
		c, ok := n.Ownership.Cluster()
		if !ok {
			return cluster.Status{SinceContact: -1}
		}
		return c.Status()
	}))
}

// newClusterMetrics returns the metrics of membership, leadership and raft.
func newClusterMetrics(status func() cluster.Status) *collector[cluster.Status] {
	c := &collector[cluster.Status]{read: status}
	c.gauge("cluster_is_leader", "1 on the node that leads with an established term.", func(s cluster.Status) float64 { return oneIf(s.Established) })
	c.gauge("cluster_has_leader", "1 while this node knows of a leader.", func(s cluster.Status) float64 { return oneIf(s.Leader != "") })
	c.gauge("cluster_members", "Nodes in the view, as this node knows it.", func(s cluster.Status) float64 { return float64(len(s.Members)) })
	c.gauge("cluster_epoch", "Log index of the view, as this node knows it; nodes that differ for long do not see each other.",
		func(s cluster.Status) float64 { return float64(s.Epoch) })
	c.gauge("cluster_term", "Raft's term.", func(s cluster.Status) float64 { return float64(s.Term) })
	c.gauge("cluster_leader_contact_seconds", "Time since this node last heard from the leader; 0 on the leader, -1 if never.", func(s cluster.Status) float64 {
		if s.SinceContact < 0 {
			return -1
		}
		return s.SinceContact.Seconds()
	})
	c.gauge("schedule_running", "1 while syncs and cleanups are scheduled, 0 after rollcall stop, as this node knows it.",
		func(s cluster.Status) float64 { return oneIf(s.ServiceRunning) })
	c.gauge("raft_servers", "Nodes that raft knows, in the view or away, as this node knows it.", func(s cluster.Status) float64 { return float64(len(s.Servers)) })
	c.gauge("raft_voters", "Nodes that vote, as this node knows it.", func(s cluster.Status) float64 {
		voters := 0
		for _, server := range s.Servers {
			if server.Voter {
				voters++
			}
		}
		return float64(voters)
	})
	c.gauge("raft_last_index", "Index of the last entry in raft's log on this node.", func(s cluster.Status) float64 { return float64(s.Log.Last) })
	c.gauge("raft_commit_index", "Index of the last entry that this node knows to be committed.", func(s cluster.Status) float64 { return float64(s.Log.Committed) })
	c.gauge("raft_applied_index", "Index of the last entry that this node has applied.", func(s cluster.Status) float64 { return float64(s.Log.Applied) })
	c.add(prometheus.GaugeValue, "raft_state", "1 for the state of raft on this node, 0 for the others.", func(s cluster.Status, put func(float64, ...string)) {
		for state, name := range map[string]string{"follower": "Follower", "candidate": "Candidate", "leader": "Leader", "shutdown": "Shutdown"} {
			put(oneIf(s.RaftState == name), state)
		}
	}, "state")
	return c
}
