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
	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	joinPath  = peerPrefix + "join"
	applyPath = peerPrefix + "apply"
	// lookForContact is how often a member checks whether it is still in contact with a leader.
	lookForContact = time.Second
)

// joining is a request to the leader to add a process to raft.
type joining struct {
	server
	// Incarnation is the last incarnation of this process, 0 if it had none.
	Incarnation uint64 `json:"incarnation"`
	// Fresh is true if the node holds no cluster data. Votes that a node with its name cast before are then forgotten.
	Fresh bool `json:"fresh"`
	// Required and Advisory are those of the node's Config. Their JSON names are older, and other builds read them.
	Required map[string]string `json:"same,omitempty"`
	Advisory map[string]string `json:"alike,omitempty"`
	// Format is that of hello.
	Format int `json:"format,omitempty"`
}

// joined is the answer to a joining. The node must have caught up to Index before it may become a member.
type joined struct {
	Index uint64 `json:"index"`
	// Advisory is that of the leader's Config. Its JSON name is older, and other builds read it.
	Advisory map[string]string `json:"alike,omitempty"`
}

// enlist keeps this process in the view. It founds or finds the cluster, and joins it at the start, whenever the view has lost this process,
// and after a loss of contact with the leader: a process that was removed while it was cut off would otherwise stay in its own view for ever.
// A leader enters the view in establish instead.
func (n *Node) enlist(ctx context.Context) {
	if n.endpoint.mux == nil {
		n.settled.Store(true)
		return
	}
	if n.isFresh() && n.foundWithOthers(ctx) != nil {
		return
	}
	for backoff := firstRetry; ctx.Err() == nil; {
		changed := n.fsm.Changed()
		if n.member(n.fsm.State().View) && n.InContact() == nil {
			backoff = firstRetry
			if err := n.settle(ctx); err != nil {
				n.setWaitReason(err)
				if wait.For(ctx, firstRetry) != nil {
					return
				}
				continue
			}
			n.setWaitReason(nil)
			contact := time.NewTimer(lookForContact)
			select {
			case <-changed:
			case <-contact.C:
			case <-ctx.Done():
			}
			contact.Stop()
			continue
		}
		if why := n.withdrawn.Load(); why != nil {
			n.setWaitReason(*why)
			if wait.For(ctx, firstRetry) != nil {
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
			if n.incarnation.Load() != 0 {
				err = also(n.InContact(), fmt.Errorf("waiting to come back: %w", err))
			} else {
				err = fmt.Errorf("waiting to join: %w", err)
			}
			n.setWaitReason(err)
			backoff = min(2*backoff, time.Second)
		}
		if wait.For(ctx, backoff) != nil {
			return
		}
	}
}

// joinOnce makes one attempt to become a member. The node first joins raft. Once it has caught up, it joins the view. joinOnce returns when
// the node sees its own entry.
func (n *Node) joinOnce(ctx context.Context) error {
	if n.raft.State() == raft.Leader {
		if !n.established() {
			return nil // establish does it
		}
		return n.rejoin(ctx) // it had withdrawn
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
	ask := joining{server: n.self(), Incarnation: n.incarnation.Load(), Fresh: n.endpoint.closed.Load(), Required: n.cfg.Required, Advisory: n.Advisory(),
		Format: fsm.Format}
	if err := n.peers.call(ctx, leader.Addr, joinPath, ask, &until); err != nil {
		return err
	}
	n.endpoint.closed.Store(false)
	if ask.Incarnation == 0 {
		n.warnOfAdvisory(leader.ID, until.Advisory)
	}
	n.setWaitReason(fmt.Errorf("waiting to catch up with the leader %s", leader.ID))
	for n.raft.AppliedIndex() < until.Index {
		if wait.For(ctx, pollReady) != nil {
			return fmt.Errorf("the log has come to %d of %d", n.raft.AppliedIndex(), until.Index)
		}
	}
	if n.member(n.fsm.State().View) {
		return nil // it was only out of contact
	}
	res, err := n.commit(ctx, n.join())
	if err != nil {
		return err
	}
	n.incarnation.Store(res.Index)
	n.log.Info("joined the cluster", "leader", leader.ID, "incarnation", res.Index)
	for !n.member(n.fsm.State().View) && n.fsm.State().View.Epoch < res.Index {
		if wait.For(ctx, pollReady) != nil {
			return errors.New("this node has not seen its own join yet")
		}
	}
	return nil
}

// sameCluster returns an error if leader belongs to another cluster than this node's data, because raft would mix the two logs. A leader that
// this node knows, or that knows this node, belongs to the same cluster. So does one with the generation that this node's data has: both may have
// been removed and added again while the other was away. So does, by assumption, a leader whose build does not report its servers.
func (n *Node) sameCluster(ctx context.Context, leader server) error {
	if n.isFresh() || n.known(leader.ID) == nil {
		return nil
	}
	h, err := n.ask(ctx, leader.Addr)
	if err != nil || len(h.Servers) == 0 || slices.Contains(h.Servers, n.cfg.NodeID) || h.Generation != 0 && h.Generation == n.lastGeneration() {
		return err
	}
	return fmt.Errorf("%w: the one that %q leads does not know this node, and by the data in --data-dir this node belongs to another. "+
		"If that one is to stay, stop this node, empty its --data-dir, and start it again", ErrSeveralClusters, leader.ID)
}

// lastGeneration returns the latest generation that this node knows or has in its data. It has applied none before it has a leader.
func (n *Node) lastGeneration() uint64 { return max(n.store.generation, n.fsm.State().Generation) }

// votesAlone reports whether this node is the only voter in raft's configuration. Such a node can lead by itself. Another leader behind
// --join belongs to another cluster, whose log must not be mixed with this node's.
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

// findLeader returns the leader that raft on this node knows. If raft knows none, it asks the nodes of --join and of raft's configuration.
func (n *Node) findLeader(ctx context.Context) (server, error) {
	if l := n.leader(); l.ID != "" {
		return l, nil
	}
	addrs := n.addresses(ctx)
	if servers := n.raft.GetConfiguration(); servers.Error() == nil {
		for _, s := range servers.Configuration().Servers {
			if addr := string(n.addressNow(s)); addr != n.endpoint.addr && addr != string(nowhere(s.ID)) && !slices.Contains(addrs, addr) {
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
		case h.Leader.ID == n.cfg.NodeID && h.Leader.Addr != n.endpoint.addr && h.ID != n.cfg.NodeID:
			errs = append(errs, fmt.Errorf("%s says that a node of the name %q leads at %s: if that one runs, give each node a --node-id of its own", addr, h.Leader.ID, h.Leader.Addr))
		case h.Leader.ID != "" && h.Leader.ID != n.cfg.NodeID:
			return h.Leader, nil
		}
	}
	return server{}, also(append([]error{ErrNoLeader}, errs...)...)
}

// answerJoin adds a node to raft. It works on the leader only.
func (n *Node) answerJoin(ctx context.Context, body []byte) (any, error) {
	var j joining
	if err := json.Unmarshal(body, &j); err != nil || j.ID == "" || j.Addr == "" {
		return nil, also(errors.New("a join names its node and address"), err)
	}
	err := n.Lead(ctx, func(ctx context.Context, _ Term) error {
		if removed := n.fsm.State().Removed[j.ID]; j.Incarnation != 0 && j.Incarnation < removed {
			return ErrRemoved
		}
		if err := also(n.checkRequired(j), n.namesake(ctx, j)); err != nil {
			return err
		}
		n.noteJoining(j.ID)
		return n.admit(ctx, j)
	})
	return joined{Index: n.raft.CommitIndex(), Advisory: n.Advisory()}, err
}

// noteJoining records that a node has asked to join.
func (n *Node) noteJoining(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joiners[id] = time.Now()
	delete(n.left, id)
}

// askedToJoin returns when a node last asked this one to join, zero for never.
func (n *Node) askedToJoin(id string) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.joiners[id]
}

// noteLeaving records that a node has asked to leave the view.
func (n *Node) noteLeaving(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left[id] = true
}

// hasLeft reports whether a node has left in order and has not asked to join since.
func (n *Node) hasLeft(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.left[id]
}

// namesake returns an error if another process with the joiner's name runs at the address that raft's configuration has. Two processes with
// one name, or with copies of one data directory, would vote twice.
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

// admit adds the joiner to raft's configuration. A node that has lost its data is removed and added again, as one that never voted.
func (n *Node) admit(ctx context.Context, j joining) error {
	if err := n.configuring.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.configuring.Release(1)
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	id, addr, index := raft.ServerID(j.ID), raft.ServerAddress(j.Addr), servers.Index()
	if err := tooOld(j.ID, j.Format, n.fsm.State().Format); err != nil {
		return err
	}
	n.endpoint.book.forget(id)
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
			n.log.Warn("a node has come back without its data and joins as a new one", "peer", j.ID)
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

// answerApply commits another node's own join or leave.
func (n *Node) answerApply(ctx context.Context, body []byte) (any, error) {
	cmd, err := fsm.Decode(body)
	if err != nil {
		return nil, err
	}
	if format := fsm.FormatOf(cmd); format > max(n.fsm.State().Format, fsm.FirstFormat) {
		return nil, fmt.Errorf("%w: the cluster does not use format %d yet", ErrOlderBuild, format)
	}
	switch cmd := cmd.(type) {
	case fsm.Join:
		// No removal may happen in between: a node in the view but not in raft would never hear of its removal.
		if err := n.configuring.Acquire(ctx, 1); err != nil {
			return nil, fmt.Errorf("another change of the configuration is under way: %w", err)
		}
		defer n.configuring.Release(1)
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
		return res, nil // the other node sees it in the result
	}
	return res, err
}

// known returns nil if raft's configuration has a server with that id, else an ErrUnknownNode.
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

// commit commits a command about this node's own membership through the leader, whichever node that is.
func (n *Node) commit(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	res, err := n.Apply(ctx, cmd)
	if !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrNoLeader) || n.endpoint.mux == nil {
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
