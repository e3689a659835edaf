package sim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lk "github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// TestClusterSimulation runs seeds with several nodes; see planOf.
func TestClusterSimulation(t *testing.T) {
	planOf(t, 8, 10, 1795921513).each(t, clusterKinds, func(t *testing.T, s uint64, faults *Faults) (simulated time.Duration) {
		dirs := diskDirs(t, s)
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			defer endsWithin(s, 6*time.Hour)()
			runCluster(t, s, dirs, faults)
			simulated = time.Since(began)
		})
		return simulated
	})
}

// diskDirs returns the data directories by machine. Every fifth seed has none, so that a restart loses the node's data.
func diskDirs(t *testing.T, seed uint64) map[int]string {
	dirs := map[int]string{}
	if seed%5 == 0 {
		return dirs
	}
	for i := 1; i <= 6; i++ {
		dirs[i] = memoryDir(t)
	}
	return dirs
}

// memoryDir returns an empty directory for the test, in memory if the system has such a file system. What raft writes must survive
// the end of a simulated node, not of this machine, and the fsyncs of many simulations disturb whatever runs beside them.
func memoryDir(t *testing.T) string {
	parent, err := os.MkdirTemp("/dev/shm", "rollcall-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(parent); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(parent, "data") // copies of it are made beside it
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// several is one simulation with several nodes.
type several struct {
	*testing.T
	*clusterExtras
	faults   *Faults
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
	slow      map[string]bool // hosts whose messages are slow
	did       []string
}

func runCluster(t *testing.T, seed uint64, dirs map[int]string, faults *Faults) {
	dice := &Dice{Seed: seed}
	extras := clusterExtrasOf(dice, len(dirs) == 0)
	lag := time.Duration(dice.N("lag", 9)) * time.Second
	if extras.many { // see life.listLag
		lag = 0
	}
	world, err := NewWorld(dice, lag)
	if err != nil {
		t.Fatal(err)
	}
	s := &several{T: t, clusterExtras: extras, faults: faults, world: world, dice: dice,
		rooms: append(slices.Clone(names), "six", "seven", "eight", "nine"), inMemory: len(dirs) == 0, altered: map[string]bool{},
		processes: map[string]*Process{}, slow: map[string]bool{}}
	world.StoreFault, world.LookFault, world.Hurting, world.Net.Delay = s.storeFault, s.lookFault, s.hurting.Load, s.delay
	count := 3
	if seed%3 == 0 {
		count = 5
	}
	s.furnish(count, dirs)
	s.busy = s.rooms
	for _, m := range s.machines[:count] {
		s.start(m)
	}
	s.settle()
	s.crowd()
	s.backUp()
	s.hurt()
	s.upheave()
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

// running returns the running processes, by name of their machines.
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

// leader returns the process whose term is established, or nil if there is none.
func (s *several) leader() *Process {
	for _, p := range s.running() {
		if p.Cluster.Status().Established {
			return p
		}
	}
	return nil
}

// settle waits until all processes agree on the members and the leader, and enough of them vote: after a removal votes move, and an
// upheaval ends the joiner for good. A node that was cut off from Redis repeatedly stays withdrawn for up to 3 min.
func (s *several) settle() {
	until, said := time.Now().Add(4*time.Minute), ""
	for time.Now().Before(until) {
		s.restartFailed()
		if said = s.disagreement(); said == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, p := range s.running() {
		st := p.Cluster.Status()
		said += fmt.Sprintf("\n%s at %s is %s of %q in term %d, log %+v, servers %+v", p.Name, st.NodeAddr, st.RaftState, st.Leader, st.Term, st.Log, st.Servers)
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
		voters, stay := 0, 0
		for _, server := range p.Cluster.Status().Servers {
			if server.Voter {
				voters++
				if server.ID != s.machines[len(s.machines)-1].Name {
					stay++
				}
			}
		}
		switch {
		case s.inMemory && voters < len(s.machines)-1:
			return fmt.Sprintf("%s knows of %d voters", p.Name, voters)
		case 2*stay <= voters:
			return fmt.Sprintf("%s knows of %d voters, of which without the joiner %d are no quorum", p.Name, voters, stay)
		}
	}
	return ""
}

// hurt makes people come and go while two lanes of faults run.
func (s *several) hurt() {
	s.hurting.Store(true)
	s.world.Fake.SetFate(fakelivekit.Chaos(s.dice.Seed, fakelivekit.Rates{Drop: 0.05, Copy: 0.15, Delay: 0.1, Late: 0.15,
		MaxDelay: 3 * time.Second, MaxLate: 20 * time.Second}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var lanes sync.WaitGroup
	if s.inMemory { // one fault at a time: a voter that has lost its data is missing, and the others must reach each other
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
	if s.shards { // at least once
		lanes.Go(func() {
			if rest(ctx, 20*time.Second) {
				defer s.sicken(11, 5*time.Second)()
				rest(ctx, 5*time.Second)
			}
		})
	}
	for range 120 {
		time.Sleep(time.Duration(s.dice.N("pace", 1500)) * time.Millisecond)
		s.act()
	}
	cancel()
	lanes.Wait()
}

func (s *several) act() {
	room, p := live(s.dice, s.world.Fake, s.busy)
	switch {
	case p < 92: // done
	case p < 94:
		s.faults.Note(foreignHand)
		s.altered[room] = true
		alter(s.dice, s.world.Store, room)
	case p < 95:
		s.faults.Note(redisLosesAll)
		s.log("Redis loses all")
		s.copied = nil
		s.world.Store.Flush()
		s.altered = map[string]bool{}
	case p < 96:
		s.faults.Note(liveKitCrashes)
		s.log("LiveKit crashes")
		s.world.Fake.Crash()
		time.Sleep(3 * time.Second)
		s.world.Fake.Start(s.dice.Roll("keep") < 0.5)
	case p < 98:
		s.setBack()
	}
}

// setBack sets Redis, or one of its shards, back to an older copy, and keeps a new copy for the next time.
func (s *several) setBack() {
	switch {
	case s.copied == nil:
	case s.shards:
		s.faults.Note(shardSetBack)
		s.log("a shard is set back")
		setBackShard(s.dice, s.world.Store, s.copied)
	default:
		s.faults.Note(redisSetBack)
		s.log("Redis is set back")
		s.world.Store.SetBack(s.copied)
	}
	s.copied = s.world.Store.Copy()
}

// heal ends the faults, starts all machines except the joiner, and waits until delayed messages have arrived.
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
	if s.dice.Seed%2 == 0 { // then the check's one cycle is the first since the faults
		s.service(false)
	}
	time.Sleep(50 * time.Second)                                           // clients that never became active are given up after 20 s, their rooms 20 s later
	if err := s.world.Store.Reindex(context.Background(), 0); err != nil { // as the store's own background work does
		s.Error(err)
	}
}

func (s *several) process(name string) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[name]
}

// service switches the service. The leader may just be losing its term because of the last fault. Then the outcome is unknown, and the next
// leader is asked.
func (s *several) service(running bool) {
	err := error(nil)
	for range 3 {
		leader := s.leader()
		if leader == nil {
			err = cluster.ErrNoLeader
		} else if _, err = leader.Cluster.Apply(context.Background(), fsm.SetService{Running: running}); err == nil {
			return
		}
		if !errors.Is(err, cluster.ErrNoLeader) && !errors.Is(err, cluster.ErrNotLeader) && !errors.Is(err, cluster.ErrOutcomeUnknown) {
			break
		}
		time.Sleep(time.Second)
		s.settle()
	}
	s.Errorf("switch the service: %v", err)
}

// check compares Redis with LiveKit after one completed cycle, or three where the breaker holds; then while nothing happens; then
// by webhooks alone.
func (s *several) check() {
	visible := s.visible()
	for range 3 {
		if !s.cycle() {
			break
		}
		time.Sleep(SyncInterval) // cycles that follow each other faster count as one
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
	s.checkWithoutSync()
	for _, broken := range slices.Concat(s.world.History.Broken(), s.world.Settled.Broken()) {
		s.Error(broken)
	}
}

// cycle runs one sync on the leader and reports whether the breaker held removals.
func (s *several) cycle() (held bool) {
	leader := s.leader()
	if leader == nil {
		s.Error("nobody leads")
		return false
	}
	err := leader.Cluster.Lead(context.Background(), func(ctx context.Context, term cluster.Term) error {
		report, err := leader.Sweep.Sync(ctx, term.Token, reconcile.Options{Scheduled: true})
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
		_, listed := slices.BinarySearch(index, name)
		if _, live := s.world.Store.Get(memstore.States, name); live != listed {
			s.Errorf("%s: room %q: keys %v, in the index %v", when, name, live, listed)
		}
	}
}

// visible returns the rooms that a sync can find; see life.visible.
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

// shut ends everything. Each goroutine must end, or the bubble reports it.
func (s *several) shut() {
	s.world.Close()
	for _, p := range s.running() {
		p.Kill()
	}
	time.Sleep(time.Minute) // timers of the libraries expire
}
