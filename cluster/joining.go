package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

const (
	joinPath  = peerPrefix + "join"
	applyPath = peerPrefix + "apply"
	// lookForContact is how often a member looks whether it still hears of a leader.
	lookForContact = time.Second
)

// joining asks the leader to take a process into raft.
type joining struct {
	server
	// Incarnation is the last one of this process, 0 if it had none.
	Incarnation uint64 `json:"incarnation"`
	// Fresh says that the node holds nothing of a cluster: whatever a node of its name has voted is forgotten.
	Fresh bool `json:"fresh"`
	// Same and Alike are those of its Config.
	Same  map[string]string `json:"same,omitempty"`
	Alike map[string]string `json:"alike,omitempty"`
}

// joined says up to which index the joiner must have caught up before it may become a member.
type joined struct {
	Index uint64 `json:"index"`
	// Alike is that of the leader's Config.
	Alike map[string]string `json:"alike,omitempty"`
}

// enlist keeps this process in the view: it founds or finds the cluster, and joins, at the start, whenever the view has
// lost it, and when it has lost the leader: whoever was removed while nothing reached it sees itself in its view for ever.
// Only a leader takes its place by itself, in establish.
func (n *Node) enlist(ctx context.Context) {
	if n.link.mux == nil {
		n.settled.Store(true)
		return
	}
	if n.isFresh() && n.foundWithOthers(ctx) != nil {
		return
	}
	for wait := firstRetry; ctx.Err() == nil; {
		changed := n.fsm.Changed()
		if n.member(n.fsm.State().View) && n.InContact() == nil {
			wait = firstRetry
			if err := n.settle(ctx); err != nil {
				n.await(err)
				if sleep(ctx, firstRetry) != nil {
					return
				}
				continue
			}
			n.await(nil)
			contact := time.NewTimer(lookForContact)
			select {
			case <-changed:
			case <-contact.C:
			case <-ctx.Done():
			}
			contact.Stop()
			continue
		}
		if why := n.aside.Load(); why != nil {
			n.await(*why)
			if sleep(ctx, firstRetry) != nil {
				return
			}
			continue
		}
		err := n.joinOnce(ctx)
		if errors.Is(err, ErrRemoved) {
			n.removed.Store(true)
			n.fail(err)
			return
		}
		if err != nil {
			err = fmt.Errorf("waiting to join: %w", err)
			if n.incarnation.Load() != 0 {
				err = also(n.InContact(), err)
			}
			n.await(err)
			wait = min(2*wait, time.Second)
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// joinOnce tries to become a member: first of raft; then, once this node has caught up, of the view. It is ready when it
// sees its own entry.
func (n *Node) joinOnce(ctx context.Context) error {
	if n.raft.State() == raft.Leader {
		if !n.established() {
			return nil // establish does it
		}
		return n.rejoin(ctx) // it had stepped aside
	}
	if n.votesAlone() {
		return errors.New("this node alone votes in its cluster, and is about to lead it")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*applyTimeout)
	defer cancel()
	leader, err := n.findLeader(ctx)
	if err != nil {
		return err
	}
	if err := n.sameCluster(ctx, leader); err != nil {
		return err
	}
	var until joined
	ask := joining{server: n.self(), Incarnation: n.incarnation.Load(), Fresh: n.link.closed.Load(), Same: n.cfg.Same, Alike: n.cfg.Alike}
	if err := n.peers.call(ctx, leader.Addr, joinPath, ask, &until); err != nil {
		return err
	}
	n.link.closed.Store(false)
	if ask.Incarnation == 0 {
		n.tellDiffering(leader.ID, until.Alike)
	}
	n.await(fmt.Errorf("waiting to catch up with the leader %q", leader.ID))
	for n.raft.AppliedIndex() < until.Index {
		if sleep(ctx, pollReady) != nil {
			return fmt.Errorf("the log has come to %d of %d", n.raft.AppliedIndex(), until.Index)
		}
	}
	if n.member(n.fsm.State().View) {
		return nil // it was out of contact, no more
	}
	res, err := n.commit(ctx, n.join())
	if err != nil {
		return err
	}
	n.incarnation.Store(res.Index)
	n.log.Info("joined the cluster", "leader", leader.ID, "incarnation", res.Index)
	for !n.member(n.fsm.State().View) && n.fsm.State().View.Epoch < res.Index {
		if sleep(ctx, pollReady) != nil {
			return errors.New("the own join has not been seen yet")
		}
	}
	return nil
}

// sameCluster is an error if a leader is of another cluster than the data of this node: raft would mix the two logs. One that this node
// knows, or that knows this node, is of the same; so is one of a build that does not tell.
func (n *Node) sameCluster(ctx context.Context, leader server) error {
	if n.isFresh() || n.known(leader.ID) == nil {
		return nil
	}
	h, err := n.ask(ctx, leader.Addr)
	if err != nil || len(h.Servers) == 0 || slices.Contains(h.Servers, n.cfg.NodeID) {
		return err
	}
	return fmt.Errorf("%w: the one that %q leads does not know this node, and by the data in --data-dir this node is of another. "+
		"If that one is to stay, stop this node, empty its --data-dir, and start it again", ErrSeveralClusters, leader.ID)
}

// votesAlone reports whether this node is the only voter of raft's configuration. Such a node needs nobody to lead. Another leader behind
// --join is of another cluster, whose log must not be mixed with this node's.
func (n *Node) votesAlone() bool {
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return false
	}
	alone := false
	for _, s := range servers.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		if string(s.ID) != n.cfg.NodeID {
			return false
		}
		alone = true
	}
	return alone
}

// findLeader asks, where raft here does not know, whoever may.
func (n *Node) findLeader(ctx context.Context) (server, error) {
	if l := n.leader(); l.ID != "" {
		return l, nil
	}
	addrs := n.addresses(ctx)
	if servers := n.raft.GetConfiguration(); servers.Error() == nil {
		for _, s := range servers.Configuration().Servers {
			if addr := string(n.addressNow(s)); addr != n.link.addr && addr != string(nowhere(s.ID)) && !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	var errs []error
	for _, addr := range addrs {
		h, err := n.ask(ctx, addr)
		switch {
		case err != nil:
			errs = append(errs, err)
		case h.Leader.ID == n.cfg.NodeID && h.Leader.Addr != n.link.addr && h.ID != n.cfg.NodeID:
			errs = append(errs, fmt.Errorf("%s says that a node of the name %q leads at %s: if that one runs, give each node a --node-id of its own", addr, h.Leader.ID, h.Leader.Addr))
		case h.Leader.ID != "" && h.Leader.ID != n.cfg.NodeID:
			return h.Leader, nil
		}
	}
	return server{}, also(append([]error{ErrNoLeader}, errs...)...)
}

// answerJoin takes a node into raft, on the leader.
func (n *Node) answerJoin(ctx context.Context, body []byte) (any, error) {
	var j joining
	if err := json.Unmarshal(body, &j); err != nil || j.ID == "" || j.Addr == "" {
		return nil, also(errors.New("a join names its node and address"), err)
	}
	err := n.Lead(ctx, func(ctx context.Context, _ Term) error {
		if removed := n.fsm.State().Removed[j.ID]; j.Incarnation != 0 && j.Incarnation < removed {
			return ErrRemoved
		}
		if err := also(n.sameSettings(j), n.namesake(ctx, j)); err != nil {
			return err
		}
		n.noteJoining(j.ID)
		return n.admit(ctx, j)
	})
	return joined{Index: n.raft.CommitIndex(), Alike: n.cfg.Alike}, err
}

// noteJoining notes that a node has asked to join.
func (n *Node) noteJoining(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joiners[id] = time.Now()
	delete(n.left, id)
}

// askedToJoin is when a node last asked this one; zero for never.
func (n *Node) askedToJoin(id string) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.joiners[id]
}

// noteLeaving notes that a node has asked to leave the view.
func (n *Node) noteLeaving(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left[id] = true
}

// hasLeft reports whether a node left in order and has not asked to join since.
func (n *Node) hasLeft(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.left[id]
}

// namesake is an error while another process of that name runs at the address that raft knows. Two of one name, or of one
// data directory that was copied, would vote twice.
func (n *Node) namesake(ctx context.Context, j joining) error {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	for _, s := range servers.Configuration().Servers {
		if string(s.ID) != j.ID || string(s.Address) == j.Addr {
			continue
		}
		if h, err := n.ask(ctx, string(s.Address)); err == nil && h.ID == j.ID && h.Addr != j.Addr {
			return fmt.Errorf("node %q runs at %s already, and this one is at %s: give each node a --node-id and a --data-dir of its own, or stop that one first", j.ID, h.Addr, j.Addr)
		}
	}
	return nil
}

// admit gives raft a server of that id and address. One that has lost its data comes in anew, as one that never voted.
func (n *Node) admit(ctx context.Context, j joining) error {
	if err := n.configuring.take(ctx); err != nil {
		return err
	}
	defer n.configuring.give()
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	id, addr, index := raft.ServerID(j.ID), raft.ServerAddress(j.Addr), servers.Index()
	n.link.book.forget(id)
	all := servers.Configuration().Servers
	if i := slices.IndexFunc(all, func(s raft.Server) bool { return s.ID != id && s.Address == addr }); i >= 0 {
		if err := n.makeWay(ctx, all[i], j, index); err != nil {
			return err
		}
		if servers = n.raft.GetConfiguration(); servers.Error() != nil {
			return servers.Error()
		}
		all, index = servers.Configuration().Servers, servers.Index()
	}
	for _, s := range all {
		switch {
		case s.ID != id:
			continue
		case j.Fresh:
			n.log.Warn("a node has come back without its data and is taken in anew", "peer", j.ID)
			gone := n.raft.RemoveServer(id, index, applyTimeout)
			if err := gone.Error(); err != nil {
				return n.raftError(err)
			}
			return n.raftError(n.raft.AddNonvoter(id, addr, gone.Index(), applyTimeout).Error())
		case s.Address == addr:
			return nil
		case s.Suffrage == raft.Voter:
			n.log.Info("a node has another node address", "peer", j.ID, "from", s.Address, "to", addr)
			return n.raftError(n.raft.AddVoter(id, addr, index, applyTimeout).Error())
		}
	}
	n.log.Info("a node joins", "peer", j.ID, "addr", j.Addr)
	return n.raftError(n.raft.AddNonvoter(id, addr, index, applyTimeout).Error())
}

// answerApply commits what another node wants committed of itself.
func (n *Node) answerApply(ctx context.Context, body []byte) (any, error) {
	cmd, err := fsm.Decode(body)
	if err != nil {
		return nil, err
	}
	switch cmd := cmd.(type) {
	case fsm.Join:
		// No removal may come between: who is in the view and not in raft would never hear of it.
		if err := n.configuring.take(ctx); err != nil {
			return nil, fmt.Errorf("another change of the configuration is under way: %w", err)
		}
		defer n.configuring.give()
		if err := n.known(cmd.ID); err != nil {
			return nil, err
		}
		n.noteJoining(cmd.ID)
	case fsm.Leave:
		defer n.noteLeaving(cmd.ID)
	default:
		return nil, errors.New("only a join or a leave may be asked for")
	}
	res, err := n.Apply(ctx, cmd)
	if res.Refused != "" {
		return res, nil // the asker sees it in the result
	}
	return res, err
}

// known is nil for a server of raft's configuration.
func (n *Node) known(id string) error {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	if !slices.ContainsFunc(servers.Configuration().Servers, func(s raft.Server) bool { return string(s.ID) == id }) {
		return fmt.Errorf("%w: %q has been removed meanwhile", ErrUnknownNode, id)
	}
	return nil
}

// commit commits a command of this node's own membership, through the leader wherever it is.
func (n *Node) commit(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	res, err := n.Apply(ctx, cmd)
	if !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrNoLeader) || n.link.mux == nil {
		return res, err
	}
	leader := n.leader()
	if leader.ID == "" || leader.ID == n.cfg.NodeID {
		return fsm.Result{}, ErrNoLeader
	}
	data, err := fsm.Encode(cmd)
	if err != nil {
		return fsm.Result{}, err
	}
	if err := n.peers.call(ctx, leader.Addr, applyPath, json.RawMessage(data), &res); err != nil {
		return fsm.Result{}, err
	}
	return res, res.Err()
}
