package sim_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// lane runs one fault after another until ctx ends. Each fault undoes its effects before it returns.
func (s *several) lane(ctx context.Context, name string, fault func(context.Context)) {
	for rest(ctx, time.Duration(s.dice.N("rest "+name, 4000))*time.Millisecond) {
		fault(ctx)
	}
}

// rest waits for d and reports whether ctx is still alive.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// victim returns a process: the leader about as often as all others together.
func (s *several) victim(topic string) *Process {
	if leader := s.leader(); leader != nil && s.dice.Roll(topic) < 0.5 {
		return leader
	}
	all := s.running()
	if len(all) == 0 {
		return nil
	}
	return all[s.dice.N(topic, len(all))]
}

func (s *several) others(name string) (names []string) {
	for _, m := range s.machines {
		if m.Name != name {
			names = append(names, m.Name)
		}
	}
	return names
}

// cut cuts the given directions between a node and hosts until heal is called.
func (s *several) cut(name string, hosts []string, there, back bool) (heal func()) {
	return cutBy(s.world.Net.Cut, name, hosts, there, back)
}

// lose is like cut, but half the time messages sent in the meantime are silently lost instead of delayed.
func (s *several) lose(name string, hosts []string, there, back bool) (heal func()) {
	if s.dice.Roll("lose") < 0.5 {
		s.faults.Note(messagesLost)
		return cutBy(s.world.Net.Lose, name, hosts, there, back)
	}
	s.faults.Note(messagesLate)
	return s.cut(name, hosts, there, back)
}

func cutBy(cut func(from, to string) (heal func()), name string, hosts []string, there, back bool) (heal func()) {
	var heals []func()
	for _, host := range hosts {
		if there {
			heals = append(heals, cut(name, host))
		}
		if back {
			heals = append(heals, cut(host, name))
		}
	}
	return func() {
		for _, heal := range heals {
			heal()
		}
	}
}

// soft injects a fault that leaves the processes running: a cut, a pause, slowness.
func (s *several) soft(ctx context.Context) {
	p := s.victim("soft")
	if p == nil {
		return
	}
	long := time.Duration(200+s.dice.N("soft", 8000)) * time.Millisecond
	switch n := s.dice.N("soft", 12); n {
	case 0, 1, 2:
		s.log("cut %s off the others, to them %v, from them %v, %v", p.Name, n != 1, n != 2, long)
		if n != 0 {
			s.faults.Note(oneWay)
		}
		defer s.lose(p.Name, s.others(p.Name), n != 1, n != 2)()
		if s.dice.Roll("soft") < 0.3 {
			for _, other := range s.others(p.Name) {
				s.world.Net.Reset(p.Name, other)
			}
		}
	case 3:
		long *= 2 // so that some nodes withdraw and some do not
		s.faults.Note(offRedis)
		s.log("cut %s off Redis, %v", p.Name, long)
		defer s.cut(p.Name, []string{Redis}, true, s.dice.Roll("soft") < 0.5)()
	case 4, 5:
		long = time.Duration(2000+s.dice.N("soft", 10000)) * time.Millisecond
		s.faults.Note(nodePauses)
		s.log("pause %s, %v", p.Name, long)
		defer s.cut(p.Name, s.others(p.Name), true, true)()
		p.Gate.Pause()
		defer p.Gate.Resume()
	case 6:
		s.faults.Note(nodeSlow)
		s.log("slow down %s, %v", p.Name, long)
		s.setSlow(p.Name, true)
		defer s.setSlow(p.Name, false)
	case 7, 8: // raft does not notice if neither of the two leads
		other, there, back := s.others(p.Name)[s.dice.N("pair", len(s.machines)-1)], s.dice.Roll("pair") < 0.7, s.dice.Roll("pair") < 0.7
		s.log("cut between %s and %s, there %v, back %v, %v", p.Name, other, there, back || !there, long)
		s.faults.Note(pairCut)
		defer s.lose(p.Name, []string{other}, there, back || !there)()
	default:
		defer s.sicken(n, long)()
	}
	rest(ctx, long)
}

// hard injects a fault that ends or starts processes.
func (s *several) hard(ctx context.Context) {
	s.restartFailed()
	if s.inMemory && s.disagreement() != "" {
		return // a node that has lost its data must have been readmitted before another may lose its data
	}
	down := time.Duration(s.dice.N("hard", 5000)) * time.Millisecond
	joiner := s.machines[len(s.machines)-1]
	p := s.victim("hard")
	n := s.dice.N("hard", 12)
	if s.inMemory {
		n %= 5 // a joiner that votes and leaves would take its data with it
	}
	switch {
	case p == nil:
	case n < 3:
		s.faults.Note(nodeKilled)
		s.log("kill %s, %v", p.Name, down)
		s.forget(p)
		p.Kill()
		s.startAfter(ctx, p.Machine, down)
	case n < 5:
		s.faults.Note(nodeStops)
		s.log("stop %s, %v", p.Name, down)
		s.forget(p)
		_ = p.Stop() // without the others it cannot leave cleanly
		s.startAfter(ctx, p.Machine, down)
	case n < 6:
		s.remove(ctx)
	case n < 9:
		s.blink(ctx, joiner)
	case s.process(joiner.Name) == nil:
		s.faults.Note(nodeJoins)
		s.log("join %s", joiner.Name)
		s.start(joiner)
	default:
		s.log("leave %s", joiner.Name)
		p := s.process(joiner.Name)
		s.forget(p)
		_ = p.Stop()
	}
}

func (s *several) startAfter(ctx context.Context, m *Machine, down time.Duration) {
	rest(ctx, down)
	s.log("start %s", m.Name)
	s.start(m)
}

// remove makes the leader remove another node, whose process then ends by itself; see restartFailed.
func (s *several) remove(ctx context.Context) {
	leader, p := s.leader(), s.victim("remove")
	if leader == nil || p == nil || p == leader {
		return
	}
	call, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := leader.Cluster.Remove(call, p.Name)
	s.faults.Note(nodeRemoved)
	s.log("%s removes %s: %v", leader.Name, p.Name, err)
}

// restartFailed restarts processes that report that they cannot continue, as cmd/rollcall would.
func (s *several) restartFailed() {
	for _, p := range s.running() {
		select {
		case err := <-p.Cluster.Failure():
			s.log("%s ends by itself and is started again: %v", p.Name, err)
			s.forget(p)
			_ = p.Stop()
			s.start(p.Machine)
		default:
		}
	}
}

// blink lets a node join and leave while another node is cut off, so that the other sees both views at once: it loses rooms and
// regains them.
func (s *several) blink(ctx context.Context, joiner *Machine) {
	leader := s.leader()
	if leader == nil || s.process(joiner.Name) != nil {
		return
	}
	p := s.process(s.loser(leader.Cluster.View(), joiner.Name))
	if p == nil || p == leader {
		return
	}
	s.faults.Note(nodeBlinks)
	s.log("%s comes and goes while %s does not hear of it", joiner.Name, p.Name)
	guest := s.start(joiner)
	if guest == nil {
		return
	}
	s.awaitMember(ctx, leader, joiner.Name, true, 10*time.Second)
	// The leader has applied the join. The others learn from its next message that the join is committed.
	heal := s.cut(p.Name, s.others(p.Name), true, true)
	s.forget(guest)
	var stop sync.WaitGroup
	stop.Go(func() { _ = guest.Stop() })
	s.awaitMember(ctx, leader, joiner.Name, false, 900*time.Millisecond) // after a second of silence it would leave the view
	heal()
	stop.Wait()
}

// loser returns a node that would lose a room to another one that joins.
func (s *several) loser(v fsm.View, comes string) string {
	next := v
	next.Members = append(slices.Clone(v.Members), fsm.Member{ID: comes, HashVersion: v.HashVersion}) // the last by its name
	var losers []string
	for _, room := range s.rooms {
		before, _ := fsm.Owner(v, room)
		if after, _ := fsm.Owner(next, room); after.ID != before.ID {
			losers = append(losers, before.ID)
		}
	}
	if len(losers) == 0 {
		return ""
	}
	return losers[s.dice.N("loser", len(losers))]
}

// awaitMember waits for a limited time until a node has appeared in a process's view, or has disappeared from it.
func (s *several) awaitMember(ctx context.Context, p *Process, name string, there bool, long time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	for {
		changed := p.Cluster.Changed()
		if _, member := p.Cluster.View().Member(name); member == there {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *several) setSlow(host string, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow[host] = slow
}

func (s *several) delay(from, to string) time.Duration {
	if !s.hurting.Load() {
		return 0
	}
	s.mu.Lock()
	slow := s.slow[from] || s.slow[to]
	s.mu.Unlock()
	topic := "delay " + from + to
	switch {
	case slow:
		return time.Duration(s.dice.N(topic, 250)) * time.Millisecond
	case s.dice.Roll(topic) < 0.1:
		return time.Duration(s.dice.N(topic, 20)) * time.Millisecond
	}
	return 0
}

func (s *several) storeFault(op memstore.Op, room string) memstore.Fault {
	if f, hit := s.phases.Fault(s.dice, op, room); hit {
		return f
	}
	if !s.hurting.Load() || op == memstore.Ping {
		return memstore.Fault{}
	}
	return storeFault(s.dice, s.faults, op, room)
}

func (s *several) lookFault(room string) LookFault {
	if !s.hurting.Load() {
		return LookFault{}
	}
	return lookFault(s.dice, s.faults, room)
}
