package main

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/rpc"
)

const selfHandler = "self"

// The states of a node in /api/cluster.
const (
	stateReady       = "ready"
	stateUnready     = "unready"     // it answers, and takes no webhooks: /readyz says why
	stateUnreachable = "unreachable" // in the view, and does not answer
	stateAway        = "away"        // known to raft, and not in the view: stopped, silent, stepped aside, or not joined yet
)

// members tells of the cluster's nodes.
type members struct {
	*admin
	health health
	rooms  func() int // that have an actor here
	peers  *rpc.Peers // nil for a node that is alone
}

// oneself is what a node tells others of itself.
type oneself struct {
	Ready bool `json:"ready"`
	Rooms int  `json:"rooms"`
	// CannotReach are the nodes to which this one has no way, and Relayed counts its events that went through another.
	CannotReach []string `json:"cannotReach,omitempty"`
	Relayed     uint64   `json:"relayed,omitempty"`
	// CannotWrite are the masters of Redis where its commits do not go through.
	CannotWrite []string `json:"cannotWrite,omitempty"`
}

func (m *members) oneself(ctx context.Context) oneself {
	said := oneself{Ready: m.health.Ready(ctx) == nil, Rooms: m.rooms(), CannotWrite: cannotWrite(m.health.redis.Shards())}
	if m.peers == nil {
		return said
	}
	said.CannotReach, said.Relayed = m.peers.Links()
	return said
}

func (m *members) answerSelf(ctx context.Context, _ []byte) (any, error) {
	return m.oneself(ctx), nil
}

// Cluster implements httpapi.Cluster: each member is asked, all at once and not for long.
func (m *members) Cluster(ctx context.Context) (httpapi.ClusterStatus, error) {
	n, ok := m.own.cluster()
	if !ok {
		return httpapi.ClusterStatus{}, httpapi.ErrUnavailable
	}
	now := n.Status()
	s := httpapi.ClusterStatus{Leader: now.Leader, Term: now.Term, Epoch: now.Epoch}
	voters := map[string]bool{}
	for _, server := range now.Servers {
		voters[server.ID] = server.Voter
		if !slices.ContainsFunc(now.Members, func(m fsm.Member) bool { return m.ID == server.ID }) {
			s.Members = append(s.Members, httpapi.Member{ID: server.ID, State: stateAway, Voter: server.Voter, NodeAddr: server.NodeAddr})
		}
	}
	for _, member := range now.Members {
		s.Members = append(s.Members, httpapi.Member{ID: member.ID, Voter: voters[member.ID], HTTPAddr: member.HTTPAddr,
			NodeAddr: member.NodeAddr, Version: member.Version})
	}
	ctx, cancel := context.WithTimeout(ctx, askPeerTimeout)
	defer cancel()
	var asked sync.WaitGroup
	for i := range s.Members {
		if one := &s.Members[i]; one.State != stateAway {
			asked.Go(func() { m.ask(ctx, n, now.ID, one) })
		}
	}
	asked.Wait()
	slices.SortFunc(s.Members, func(a, b httpapi.Member) int { return cmp.Compare(a.ID, b.ID) })
	return s, nil
}

func (m *members) ask(ctx context.Context, n *cluster.Node, self string, one *httpapi.Member) {
	var said oneself
	if one.ID == self {
		said = m.oneself(ctx)
	} else if n.Call(ctx, one.NodeAddr, selfHandler, struct{}{}, &said) != nil {
		one.State = stateUnreachable
		return
	}
	one.State, one.Rooms, one.CannotReach, one.Relayed = stateUnready, said.Rooms, said.CannotReach, said.Relayed
	one.CannotWrite = said.CannotWrite
	if said.Ready {
		one.State = stateReady
	}
}

// Remove implements httpapi.Cluster.
func (m *members) Remove(ctx context.Context, id string) error {
	_, err := m.lead(ctx, order{Action: actRemove, Node: id})
	return err
}

// openCluster comes last: its tasks begin at once and need all the rest.
func (n *daemon) openCluster(ctx context.Context) error {
	c := n.config
	id, err := n.name()
	if err != nil {
		return err
	}
	_, connections := connectionLimits(descriptors())
	cfg := cluster.Config{NodeID: id, DataDir: c.DataDir, NodeAddr: c.NodeAddr, NodeAdvertise: c.NodeAdvertise, HTTPAddr: n.httpAddr(),
		Version: buildVersion().Version, BootstrapExpect: c.BootstrapExpect, Join: c.Join, DeadAfter: c.DeadAfter,
		Insecure: c.Insecure, ServerTLS: n.serverTLS, MaxConns: connections, Same: mustAgree(c), Alike: shouldAgree(c),
		Generation: n.generation, Epoch: n.store.Epoch, Fit: n.fit, Tasks: n.tasks(), Logger: n.log,
		Handlers: map[string]cluster.Handler{orderHandler: n.admin.answerOrder, agendaHandler: n.admin.answerAgenda,
			selfHandler: n.members.answerSelf}}
	if n.clientTLS != nil {
		cfg.ClientTLS = n.clientTLS.config
	}
	if n.peers != nil {
		cfg.ServeRPC, cfg.Reach = n.peers.Serve, n.peers.Reach
	}
	opened, err := cluster.Open(ctx, cfg)
	if err != nil {
		return err
	}
	n.cluster = opened
	n.own.open(opened)
	return nil
}

// mustAgree are the settings without which two nodes would write different keys for one room.
func mustAgree(c Config) map[string]string {
	return map[string]string{"--redis-hash-tags": showBool(c.RedisHashTags)}
}

// shouldAgree are those that say what is written and where it comes from. They may differ while an operator changes them
// node by node, or where one place has two names.
func shouldAgree(c Config) map[string]string {
	return map[string]string{"--redis-url": c.Redis.String(), "--livekit-host": c.LiveKit.Host, "--livekit-api-key": c.LiveKit.APIKey,
		"--count-kinds": joinList(c.CountKinds), "--change-feed": showBool(c.ChangeFeed),
		"--livekit-lag": brief(c.LiveKitLag)}
}

// httpAddr is what others dial for HTTP: a listener of all interfaces is reached where the node port is.
func (n *daemon) httpAddr() string {
	bound := n.listener.Addr().String()
	host, port, err := net.SplitHostPort(bound)
	if n.config.HTTPAdvertise != "" || err != nil || !unspecified(host) {
		return cmp.Or(n.config.HTTPAdvertise, bound)
	}
	node, _, err := net.SplitHostPort(cmp.Or(n.config.NodeAdvertise, n.config.NodeAddr))
	if err != nil || node == "" {
		return bound
	}
	return net.JoinHostPort(node, port)
}

// peer is the way to a member of the view.
func (n *daemon) peer(p actors.Place) (actors.Owner, bool) {
	node, ok := n.own.cluster()
	if !ok {
		return nil, false
	}
	m, ok := node.View().Member(p.Node)
	switch {
	case !ok || m.Incarnation != p.Incarnation:
		return nil, false
	case p.Node == node.ID():
		return n.host, true
	case n.peers == nil:
		return nil, false
	}
	return n.peers.Peer(p), true
}

// shareBudget divides what LiveKit allows among the members.
func (n *daemon) shareBudget(ctx context.Context) {
	for ctx.Err() == nil {
		view := n.own.View()
		n.livekit.Share(len(n.own.Members()))
		select {
		case <-view.Done():
		case <-ctx.Done():
		}
	}
}
