package sim_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// The kinds of faults that only several nodes have.
const (
	messagesLost = "messages are lost"
	messagesLate = "messages are held up"
	oneWay       = "cut in one direction"
	pairCut      = "a pair is cut"
	offRedis     = "cut off Redis"
	nodePauses   = "node pauses"
	nodeSlow     = "node is slow"
	nodeKilled   = "node is killed"
	nodeStops    = "node stops"
	nodeJoins    = "node joins"
	nodeRemoved  = "node is removed"
	nodeBlinks   = "node comes and goes"
	restoredOne  = "older data on one node"
	restoredAll  = "older data on all nodes"
	movedOne     = "new address of one node"
	movedAll     = "new addresses of all nodes"
)

var clusterKinds = []string{foreignHand, redisLosesAll, redisSetBack, shardSetBack, shardHangs, redisSlow, redisFlaky, callFails, answerLost,
	callHangs, crashes, liveKitCrashes, liveKitFails, liveKitLies, manyRooms, messagesLost, messagesLate, oneWay, pairCut, offRedis, nodePauses,
	nodeSlow, nodeKilled, nodeStops, nodeJoins, nodeRemoved, nodeBlinks, restoredOne, restoredAll, movedOne, movedAll}

// clusterCrowd is the number of idle rooms in a seed with many rooms: more than a page of the index.
const clusterCrowd = 1100

// clusterExtras are what only some seeds have.
type clusterExtras struct {
	many      bool     // idle rooms in addition to the busy ones
	shards    bool     // Redis is a cluster, whose shards hang and are set back
	upheavals []string // kinds, one after the other
	busy      []string // the rooms where things happen
	phases    Phases
	backups   map[string]string // older copies of data directories, by machine
}

// clusterExtrasOf rolls a seed's extras.
func clusterExtrasOf(dice *Dice, inMemory bool) *clusterExtras {
	e := &clusterExtras{many: dice.Seed%20 == 4, shards: dice.Seed%3 == 1, backups: map[string]string{}}
	if !inMemory {
		kinds := []string{restoredOne, restoredAll, movedOne, movedAll}
		first := int(dice.Seed % 4)
		e.upheavals = kinds[first : first+1]
		if second := dice.N("second upheaval", 8); second < 4 {
			e.upheavals = []string{kinds[first], kinds[second]}
		}
	}
	return e
}

// crowd creates the idle rooms of a seed with many rooms, without webhooks.
func (s *several) crowd() {
	if !s.many {
		return
	}
	s.faults.Note(manyRooms)
	s.world.Fake.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	s.rooms = slices.Clone(s.rooms)
	for i := range clusterCrowd {
		s.rooms = append(s.rooms, quiet(i))
		s.world.Fake.Join(quiet(i), fakelivekit.Who{Identity: "anna"})
	}
}

// sicken begins a bad phase of Redis; n selects which.
func (s *several) sicken(n int, long time.Duration) (end func()) {
	kind, begin := redisSlow, s.phases.Slow
	switch {
	case n == 9:
	case s.shards:
		shard := s.dice.N("phase", Shards)
		kind, begin = shardHangs, func() func() { return s.phases.Hang(shard) }
	default:
		kind, begin = redisFlaky, s.phases.Flaky
	}
	s.faults.Note(kind)
	s.log("%s, %v", kind, long)
	return begin()
}

// backUp copies the data directories while nothing changes.
func (s *several) backUp() {
	if len(s.upheavals) == 0 {
		return
	}
	synctest.Wait()
	for _, m := range s.machines[:len(s.machines)-1] {
		to := m.Dir + ".old" // removed with the test's other directories
		if err := os.CopyFS(to, os.DirFS(m.Dir)); err != nil {
			s.Fatal(err)
		}
		s.backups[m.Name] = to
	}
}

// upheave makes the large changes that do not happen in passing: it gives nodes older data or other addresses.
func (s *several) upheave() {
	for _, kind := range s.upheavals {
		s.reassemble()
		s.faults.Note(kind)
		s.log("%s", kind)
		one := s.machines[s.dice.N("upheaval", len(s.machines)-1)]
		switch kind {
		case restoredOne:
			s.restart([]*Machine{one}, s.restore)
		case restoredAll:
			s.restart(s.machines[:len(s.machines)-1], s.restore)
		case movedOne:
			s.restart([]*Machine{one}, s.move)
		case movedAll:
			s.restart(s.machines[:len(s.machines)-1], s.move)
		}
		for range 15 {
			time.Sleep(time.Duration(s.dice.N("pace", 1500)) * time.Millisecond)
			s.act()
			s.restartFailed()
		}
	}
}

// reassemble starts all machines except the joiner, and waits until they agree and several of them vote. If the only voter got older data,
// no node that votes would have what the cluster has agreed on, and votes move while all nodes are ready.
func (s *several) reassemble() {
	for _, m := range s.machines[:len(s.machines)-1] {
		if s.process(m.Name) == nil {
			s.start(m)
		}
	}
	s.settle()
	const enough = 3 // with fewer voters, none of them may lose its data
	voters := 0
	for until := time.Now().Add(time.Minute); voters < enough && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		voters = 0
		if leader := s.leader(); leader != nil {
			for _, server := range leader.Cluster.Status().Servers {
				if server.Voter {
					voters++
				}
			}
		}
	}
	if voters < enough {
		s.Errorf("only %d nodes vote, a minute after all were ready", voters)
	}
}

// restart kills processes, changes their machines, and starts them again. If it restarts all of them, it also ends the joiner,
// which stays down.
func (s *several) restart(machines []*Machine, change func(machines []*Machine)) {
	if len(machines) > 1 {
		s.end(s.machines[len(s.machines)-1])
	}
	for _, m := range machines {
		s.end(m)
	}
	time.Sleep(time.Duration(s.dice.N("upheaval", 3000)) * time.Millisecond)
	change(machines)
	for _, m := range machines {
		s.start(m)
	}
}

func (s *several) end(m *Machine) {
	if p := s.process(m.Name); p != nil {
		s.forget(p)
		p.Kill()
	}
}

// restore replaces data directories with older copies.
func (s *several) restore(machines []*Machine) {
	if len(machines) > 1 {
		s.world.History.Restored()
		if err := os.RemoveAll(s.machines[len(s.machines)-1].Dir); err != nil { // the joiner had none then
			s.Fatal(err)
		}
	}
	for _, m := range machines {
		if err := os.RemoveAll(m.Dir); err != nil {
			s.Fatal(err)
		}
		if err := os.CopyFS(m.Dir, os.DirFS(s.backups[m.Name])); err != nil {
			s.Fatal(err)
		}
	}
}

// addressesChange is false under the race detector: hashicorp/raft 1.8.0 reads a peer without a lock while the peer's address changes
// (updateLastAppended). It reads only the id, which stays the same.
var addressesChange = true

// move gives machines other node addresses. If all move, all know all new addresses, as by one DNS name. If one moves, it knows
// the others.
func (s *several) move(machines []*Machine) {
	for _, m := range machines {
		if port := 7001 + s.dice.N("port", 1000); addressesChange {
			m.Port = port
		}
	}
	var join []string
	for _, m := range s.machines[:len(s.machines)-1] {
		join = append(join, m.NodeAddr())
	}
	for _, m := range s.machines {
		m.Join = join
	}
}

// checkWithoutSync checks that webhooks and claims alone keep Redis equal to LiveKit while the service is stopped: in new rooms,
// in the busy ones, and after a node has joined or left.
func (s *several) checkWithoutSync() {
	s.world.Fake.CatchUp() // a poll that an event asks for may rely on an older list for up to the lag
	s.service(false)
	fresh := []string{}
	for i := range 4 {
		fresh = append(fresh, fmt.Sprintf("late %d", i))
	}
	shown := s.world.Fake.Snapshot()
	rooms := slices.Concat(fresh, slices.DeleteFunc(slices.Clone(s.busy), func(name string) bool { return unlisted(shown, name) }))
	rooms = byWebhooks(s.dice, s.world.Fake, rooms, func(room string) { s.truth("by webhooks alone", []string{room}) })
	if joiner := s.machines[len(s.machines)-1]; s.process(joiner.Name) == nil {
		s.start(joiner)
	} else {
		s.end(joiner)
	}
	s.settle()
	time.Sleep(10 * time.Second)
	index, err := s.world.Store.Index(context.Background())
	leader := s.leader()
	if err != nil || leader == nil {
		s.Errorf("the index: %v; who leads: %v", err, leader)
		return
	}
	view := leader.Cluster.View()
	claimed(s, s.world.Store, index, func(room string) uint64 {
		m, _ := fsm.Owner(view, room)
		return m.Incarnation
	})
	byWebhooks(s.dice, s.world.Fake, rooms, func(room string) { s.truth("by webhooks alone, after a node has come or gone", []string{room}) })
}
