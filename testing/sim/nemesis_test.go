package sim_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// lane orders one fault after another until ctx ends. Each ends its harm before it returns.
func (s *several) lane(ctx context.Context, name string, fault func(context.Context)) {
	for rest(ctx, time.Duration(s.dice.N("rest "+name, 4000))*time.Millisecond) {
		fault(ctx)
	}
}

// rest is false when ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// victim is a process, the leader as often as all others together.
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

// cut cuts ways between a node and hosts until the returned func is called.
func (s *several) cut(name string, hosts []string, there, back bool) (heal func()) {
	var heals []func()
	for _, host := range hosts {
		if there {
			heals = append(heals, s.world.Net.Cut(name, host))
		}
		if back {
			heals = append(heals, s.world.Net.Cut(host, name))
		}
	}
	return func() {
		for _, heal := range heals {
			heal()
		}
	}
}

// soft faults leave the processes alone: cuts, pauses, slowness.
func (s *several) soft(ctx context.Context) {
	p := s.victim("soft")
	if p == nil {
		return
	}
	long := time.Duration(200+s.dice.N("soft", 8000)) * time.Millisecond
	switch n := s.dice.N("soft", 9); n {
	case 0, 1, 2:
		s.log("cut %s off the others, to them %v, from them %v, %v", p.Name, n != 1, n != 2, long)
		defer s.cut(p.Name, s.others(p.Name), n != 1, n != 2)()
		if s.dice.Roll("soft") < 0.5 {
			for _, other := range s.others(p.Name) {
				s.world.Net.Reset(p.Name, other)
			}
		}
	case 3:
		long *= 2 // so that some step aside, and some do not
		s.log("cut %s off Redis, %v", p.Name, long)
		defer s.cut(p.Name, []string{Redis}, true, s.dice.Roll("soft") < 0.5)()
	case 4, 5:
		long = time.Duration(2000+s.dice.N("soft", 10000)) * time.Millisecond
		s.log("pause %s, %v", p.Name, long)
		defer s.cut(p.Name, s.others(p.Name), true, true)()
		p.Gate.Pause()
		defer p.Gate.Resume()
	case 6:
		s.log("slow down %s, %v", p.Name, long)
		s.setSlow(p.Name, true)
		defer s.setSlow(p.Name, false)
	case 7, 8: // raft does not see it where neither of the two leads
		other, there, back := s.others(p.Name)[s.dice.N("pair", len(s.machines)-1)], s.dice.Roll("pair") < 0.7, s.dice.Roll("pair") < 0.7
		s.log("cut between %s and %s, there %v, back %v, %v", p.Name, other, there, back || !there, long)
		defer s.cut(p.Name, []string{other}, there, back || !there)()
	}
	rest(ctx, long)
}

// hard faults end processes or start them.
func (s *several) hard(ctx context.Context) {
	s.mend()
	if s.inMemory && s.disagreement() != "" {
		return // who has lost its data must have been taken in before another may lose its own
	}
	down := time.Duration(s.dice.N("hard", 5000)) * time.Millisecond
	joiner := s.machines[len(s.machines)-1]
	p := s.victim("hard")
	n := s.dice.N("hard", 12)
	if s.inMemory {
		n %= 5 // a joiner that votes and goes would take its data with it
	}
	switch {
	case p == nil:
	case n < 3:
		s.log("kill %s, %v", p.Name, down)
		s.forget(p)
		p.Kill()
		s.again(ctx, p.Machine, down)
	case n < 5:
		s.log("stop %s, %v", p.Name, down)
		s.forget(p)
		_ = p.Stop() // without the others it cannot leave in order
		s.again(ctx, p.Machine, down)
	case n < 6:
		s.remove(ctx)
	case n < 9:
		s.blink(ctx, joiner)
	case s.process(joiner.Name) == nil:
		s.log("join %s", joiner.Name)
		s.start(joiner)
	default:
		s.log("leave %s", joiner.Name)
		p := s.process(joiner.Name)
		s.forget(p)
		_ = p.Stop()
	}
}

func (s *several) again(ctx context.Context, m *Machine, down time.Duration) {
	rest(ctx, down)
	s.log("start %s", m.Name)
	s.start(m)
}

// remove has the leader remove another node, whose process then ends by itself; see mend.
func (s *several) remove(ctx context.Context) {
	leader, p := s.leader(), s.victim("remove")
	if leader == nil || p == nil || p == leader {
		return
	}
	call, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := leader.Cluster.Remove(call, p.Name)
	s.log("%s removes %s: %v", leader.Name, p.Name, err)
}

// mend ends the processes that say that they cannot go on, as cmd/rollcall does, and starts them again.
func (s *several) mend() {
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

// blink lets a node come and go while another does not hear of it, so that it sees both views at once: rooms that it lost
// and has again.
func (s *several) blink(ctx context.Context, joiner *Machine) {
	leader := s.leader()
	if leader == nil || s.process(joiner.Name) != nil {
		return
	}
	p := s.process(s.loser(leader.Cluster.View(), joiner.Name))
	if p == nil || p == leader {
		return
	}
	s.log("%s comes and goes while %s does not hear of it", joiner.Name, p.Name)
	guest := s.start(joiner)
	if guest == nil {
		return
	}
	s.awaitMember(ctx, leader, joiner.Name, true, 10*time.Second)
	// The leader has applied the join; the others learn that it is committed by its next message.
	heal := s.cut(p.Name, s.others(p.Name), true, true)
	s.forget(guest)
	var stop sync.WaitGroup
	stop.Go(func() { _ = guest.Stop() })
	s.awaitMember(ctx, leader, joiner.Name, false, 900*time.Millisecond) // after a second of silence it would leave the view
	heal()
	stop.Wait()
}

// loser is a node that would lose a room to another that comes.
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

// awaitMember waits, not for long, until a node has come into a process's view, or has gone.
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
	if !s.hurting.Load() {
		return memstore.Fault{}
	}
	return storeFault(s.dice, op, room)
}

func (s *several) lookFault(room string) LookFault {
	if !s.hurting.Load() {
		return LookFault{}
	}
	return lookFault(s.dice, room)
}
