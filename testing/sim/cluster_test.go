package sim_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lk "github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/ownership"
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// TestClusterSimulation runs seeds of several nodes; see planOf.
func TestClusterSimulation(t *testing.T) {
	planOf(t, 5).each(t, func(t *testing.T, s uint64) (simulated time.Duration) {
		dirs := diskDirs(t, s)
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			runCluster(t, s, dirs)
			simulated = time.Since(began)
		})
		return simulated
	})
}

// diskDirs are data directories by machine; every fifth seed has none, so that a restart there has lost its data.
func diskDirs(t *testing.T, seed uint64) map[int]string {
	dirs := map[int]string{}
	if seed%5 == 0 {
		return dirs
	}
	for i := 1; i <= 6; i++ {
		dirs[i] = t.TempDir()
	}
	return dirs
}

// several is one simulation of several nodes.
type several struct {
	*testing.T
	world    *World
	dice     *Dice
	rooms    []string
	machines []*Machine // the last one is the joiner
	inMemory bool
	hurting  atomic.Bool
	altered  map[string]bool
	copied   *memstore.Copy // an older state of Redis

	mu        sync.Mutex
	processes map[string]*Process
	slow      map[string]bool // hosts whose messages take their time
	did       []string
}

func runCluster(t *testing.T, seed uint64, dirs map[int]string) {
	world, err := NewWorld(seed)
	if err != nil {
		t.Fatal(err)
	}
	s := &several{T: t, world: world, dice: world.Dice, rooms: append(slices.Clone(names), "six", "seven", "eight", "nine"),
		inMemory: len(dirs) == 0, altered: map[string]bool{}, processes: map[string]*Process{}, slow: map[string]bool{}}
	world.StoreFault, world.LookFault, world.Hurting, world.Net.Delay = s.storeFault, s.lookFault, s.hurting.Load, s.delay
	count := 3
	if seed%3 == 0 {
		count = 5
	}
	s.furnish(count, dirs)
	for _, m := range s.machines[:count] {
		s.start(m)
	}
	s.settle()
	s.hurt()
	s.heal()
	s.check()
	s.shut()
	if t.Failed() {
		for _, line := range s.did {
			t.Log(line)
		}
	}
}

func (s *several) furnish(count int, dirs map[int]string) {
	var join []string
	for i := 1; i <= count; i++ {
		join = append(join, fmt.Sprintf("n%d:7000", i))
	}
	for i := 1; i <= count+1; i++ {
		m := &Machine{Name: fmt.Sprintf("n%d", i), Dir: dirs[i], Expect: count, Join: join,
			Skew: time.Duration(s.dice.N("skew", 6000)-3000) * time.Millisecond}
		if i > count {
			m.Expect = 1
		}
		s.machines = append(s.machines, m)
	}
}

func (s *several) log(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (s *several) start(m *Machine) *Process {
	p, err := s.world.Start(m)
	if err != nil {
		s.Errorf("start %s: %v", m.Name, err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes[m.Name] = p
	return p
}

// running are the processes, by name of their machines.
func (s *several) running() (all []*Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.machines {
		if p := s.processes[m.Name]; p != nil {
			all = append(all, p)
		}
	}
	return all
}

func (s *several) forget(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes[p.Name] == p {
		delete(s.processes, p.Name)
	}
}

// leader is the process whose term is established; nil without one.
func (s *several) leader() *Process {
	for _, p := range s.running() {
		if p.Cluster.Status().Established {
			return p
		}
	}
	return nil
}

// settle waits until all agree on who is there and who leads, and enough vote. A node that was cut off from Redis again and again stays away
// for up to 3 min.
func (s *several) settle() {
	until, said := time.Now().Add(4*time.Minute), ""
	for time.Now().Before(until) {
		s.mend()
		if said = s.disagreement(); said == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.Errorf("the nodes have not come to terms within 4 minutes: %s", said)
}

func (s *several) disagreement() (said string) {
	leaders := map[string]bool{}
	all := s.running()
	for _, p := range all {
		if err := p.Cluster.Ready(); err != nil {
			said += fmt.Sprintf("%s: %v; ", p.Name, err)
		}
		st := p.Cluster.Status()
		leaders[st.Leader] = true
		if len(st.Members) != len(all) {
			said += fmt.Sprintf("%s sees %d members, and %d run; ", p.Name, len(st.Members), len(all))
		}
	}
	if said != "" {
		return said
	}
	leader := s.leader()
	if len(leaders) != 1 || leader == nil {
		return fmt.Sprintf("the leaders are %v", leaders)
	}
	for _, p := range all {
		voters := 0
		for _, server := range p.Cluster.Status().Servers {
			if server.Voter {
				voters++
			}
		}
		if s.inMemory && voters < len(s.machines)-1 {
			return fmt.Sprintf("%s knows of %d voters", p.Name, voters)
		}
	}
	return ""
}

// hurt lets people come and go while two lanes of faults run.
func (s *several) hurt() {
	s.hurting.Store(true)
	s.world.Fake.SetFate(fakelivekit.Chaos(s.dice.Seed, fakelivekit.Rates{Drop: 0.05, Copy: 0.15, Delay: 0.1, Late: 0.15,
		MaxDelay: 3 * time.Second, MaxLate: 20 * time.Second}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var lanes sync.WaitGroup
	if s.inMemory { // one fault at a time: a voter that has lost its data is away, and the others must hear each other
		lanes.Go(func() {
			s.lane(ctx, "both", func(ctx context.Context) {
				if s.dice.Roll("both") < 0.5 {
					s.soft(ctx)
				} else {
					s.hard(ctx)
				}
			})
		})
	} else {
		lanes.Go(func() { s.lane(ctx, "soft", s.soft) })
		lanes.Go(func() { s.lane(ctx, "hard", s.hard) })
	}
	for range 120 {
		time.Sleep(time.Duration(s.dice.N("pace", 1500)) * time.Millisecond)
		s.act()
	}
	cancel()
	lanes.Wait()
}

func (s *several) act() {
	room, p := live(s.dice, s.world.Fake, s.rooms)
	switch {
	case p < 92: // done
	case p < 94:
		s.altered[room] = true
		alter(s.dice, s.world.Store, room)
	case p < 95:
		s.log("Redis loses all")
		s.copied = nil
		s.world.Store.Flush()
		s.altered = map[string]bool{}
	case p < 96:
		s.log("LiveKit crashes")
		s.world.Fake.Crash()
		time.Sleep(3 * time.Second)
		s.world.Fake.Start(s.dice.Roll("keep") < 0.5)
	case p < 97:
		s.setBack()
	}
}

// setBack sets Redis back to an older copy, and takes one for the next time.
func (s *several) setBack() {
	if s.copied != nil {
		s.log("Redis is set back")
		s.world.Store.SetBack(s.copied)
	}
	s.copied = s.world.Store.Copy()
}

// heal ends the faults, brings all machines but the joiner up, and waits until what was delayed has arrived.
func (s *several) heal() {
	s.hurting.Store(false)
	s.world.Fake.SetFate(nil)
	s.log("healed")
	for _, m := range s.machines[:len(s.machines)-1] {
		if s.process(m.Name) == nil {
			s.start(m)
		}
	}
	s.settle()
	if s.dice.Seed%2 == 0 { // then the one cycle of the check is the first since the faults
		s.service(false)
	}
	time.Sleep(90 * time.Second)                                            // clients that never became active are given up after 60 s, their rooms 20 s later
	if err := s.world.Store.Discover(context.Background(), 0); err != nil { // as the store's own background work does
		s.Error(err)
	}
}

func (s *several) process(name string) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[name]
}

func (s *several) service(running bool) {
	if leader := s.leader(); leader == nil {
		s.Error("nobody leads")
	} else if _, err := leader.Cluster.Apply(context.Background(), fsm.SetService{Running: running}); err != nil {
		s.Errorf("switch the service: %v", err)
	}
}

// check holds the state against LiveKit after one completed cycle, or three where the breaker holds; then while nothing
// happens; then by webhooks alone.
func (s *several) check() {
	visible := s.visible()
	for range 3 {
		if !s.cycle() {
			break
		}
	}
	s.truth("after the faults and a sync", visible)
	for _, broken := range Feed(s.world.Store, s.altered) {
		s.Error(broken)
	}
	s.world.History.Settle(true)
	s.service(true)
	time.Sleep(65 * time.Second)
	s.world.History.Settle(false)
	s.truth("after a minute in which nothing happened", visible)
	fresh := []string{} // a room that LiveKit deleted half ends without a webhook
	for i := range 9 {
		room, who := fmt.Sprintf("late %d", i), fakelivekit.Who{Identity: "late comer"}
		fresh = append(fresh, room)
		s.world.Fake.Join(room, who)
		if i%3 > 1 {
			s.world.Fake.Leave(room, who.Identity)
		}
	}
	time.Sleep(2 * time.Second)
	s.truth("by webhooks", fresh)
	for _, broken := range slices.Concat(s.world.History.Broken(), s.world.Settled.Broken()) {
		s.Error(broken)
	}
}

// cycle runs one sync on the leader and tells whether the breaker held.
func (s *several) cycle() (held bool) {
	leader := s.leader()
	if leader == nil {
		s.Error("nobody leads")
		return false
	}
	err := leader.Cluster.Lead(context.Background(), func(ctx context.Context, term cluster.Term) error {
		report, err := leader.Sweep.Sync(ctx, ownership.Token(term.Token), actors.Options{Scheduled: true})
		if report.Errors > 0 {
			s.Errorf("the sync after the faults: %d errors, %s", report.Errors, report.Error)
		}
		held = report.Held != nil
		return err
	})
	if err != nil {
		s.Errorf("the sync after the faults: %v", err)
	}
	return held
}

func (s *several) truth(when string, rooms []string) {
	synctest.Wait()
	shown := s.world.Fake.Snapshot()
	for _, d := range Truth(s.world.Store, shown, rooms) {
		s.Errorf("%s: %s", when, d)
	}
	index, err := s.world.Store.Index(context.Background())
	if err != nil {
		s.Error(err)
	}
	for _, name := range s.rooms {
		if _, live := s.world.Store.Get(memstore.States, name); live != slices.Contains(index, name) {
			s.Errorf("%s: room %q: keys %v, but the index holds %q", when, name, live, index)
		}
	}
}

// visible are the rooms that a sync can know of; see life.visible.
func (s *several) visible() []string {
	known, err := s.world.Store.Index(context.Background())
	if err != nil {
		s.Error(err)
	}
	for _, p := range s.running() {
		awake, err := p.Host.Names(context.Background())
		if err != nil {
			s.Error(err)
		}
		known = append(known, awake...)
	}
	return visible(s.world.Fake.Snapshot(), s.rooms, known)
}

func visible(shown *fakelivekit.Snapshot, rooms, known []string) []string {
	return slices.DeleteFunc(slices.Clone(rooms), func(name string) bool {
		people := shown.Participants(name)
		silent := !slices.ContainsFunc(people, func(p *lk.ParticipantInfo) bool { return p.State == lk.ParticipantInfo_ACTIVE })
		return len(shown.Rooms(name)) == 0 && len(people) > 0 && (silent || !slices.Contains(known, name))
	})
}

// shut ends all; each goroutine must end, or the bubble says so.
func (s *several) shut() {
	s.world.Close()
	for _, p := range s.running() {
		p.Kill()
	}
	time.Sleep(time.Minute) // timers of the libraries run out
}
