package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/node"
)

// clusterMetrics are the metrics of membership, leadership and raft. All of one scrape come from one cluster.Status.
type clusterMetrics struct {
	status func() cluster.Status
	gauges []clusterGauge
	state  *prometheus.Desc
}

type clusterGauge struct {
	desc  *prometheus.Desc
	value func(cluster.Status) float64
}

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

func newClusterMetrics(status func() cluster.Status) *clusterMetrics {
	c := &clusterMetrics{status: status, state: prometheus.NewDesc("rollcall_raft_state",
		"1 for the state of raft on this node, 0 for the others.", []string{"state"}, nil)}
	gauge := func(name, help string, value func(cluster.Status) float64) {
		c.gauges = append(c.gauges, clusterGauge{prometheus.NewDesc("rollcall_"+name, help, nil, nil), value})
	}
	gauge("cluster_is_leader", "1 on the node that leads with an established term.", func(s cluster.Status) float64 { return oneIf(s.Established) })
	gauge("cluster_has_leader", "1 while this node knows of a leader.", func(s cluster.Status) float64 { return oneIf(s.Leader != "") })
	gauge("cluster_members", "Nodes in the view, as this node knows it.", func(s cluster.Status) float64 { return float64(len(s.Members)) })
	gauge("cluster_epoch", "Log index of the view, as this node knows it; nodes that differ for long do not see each other.",
		func(s cluster.Status) float64 { return float64(s.Epoch) })
	gauge("cluster_term", "Raft's term.", func(s cluster.Status) float64 { return float64(s.Term) })
	gauge("cluster_leader_contact_seconds", "Time since this node last heard from the leader; 0 on the leader, -1 if never.", func(s cluster.Status) float64 {
		if s.SinceContact < 0 {
			return -1
		}
		return s.SinceContact.Seconds()
	})
	gauge("schedule_running", "1 while syncs and cleanups are scheduled, 0 after rollcall stop, as this node knows it.",
		func(s cluster.Status) float64 { return oneIf(s.ServiceRunning) })
	gauge("raft_servers", "Nodes that raft knows, in the view or away, as this node knows it.", func(s cluster.Status) float64 { return float64(len(s.Servers)) })
	gauge("raft_voters", "Nodes that vote, as this node knows it.", func(s cluster.Status) float64 {
		voters := 0
		for _, server := range s.Servers {
			if server.Voter {
				voters++
			}
		}
		return float64(voters)
	})
	gauge("raft_last_index", "Index of the last entry in raft's log on this node.", func(s cluster.Status) float64 { return float64(s.Log.Last) })
	gauge("raft_commit_index", "Index of the last entry that this node knows to be committed.", func(s cluster.Status) float64 { return float64(s.Log.Committed) })
	gauge("raft_applied_index", "Index of the last entry that this node has applied.", func(s cluster.Status) float64 { return float64(s.Log.Applied) })
	return c
}

// Describe implements prometheus.Collector.
func (c *clusterMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- c.state
	for _, g := range c.gauges {
		to <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c *clusterMetrics) Collect(to chan<- prometheus.Metric) {
	s := c.status()
	for _, g := range c.gauges {
		to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(s))
	}
	for state, name := range map[string]string{"follower": "Follower", "candidate": "Candidate", "leader": "Leader", "shutdown": "Shutdown"} {
		to <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, oneIf(s.RaftState == name), state)
	}
}
