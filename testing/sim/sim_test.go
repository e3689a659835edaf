package sim_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lk "github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

var (
	seed   = flag.Uint64("sim.seed", 0, "run this seed only")
	errAny = errors.New("a fault that was ordered")
	names  = []string{"plain", "{curly}", "nul\x00", "new\nline", "*"}
	whos   = []string{"anna", "bert", "c\"d", "d*"}
)

// TestSimulation runs seeds with a single node; see planOf.
func TestSimulation(t *testing.T) {
	planOf(t, 25, 1, 1795924613, 1795926393, 1796106203).each(t, singleKinds, func(t *testing.T, s uint64, faults *Faults) (simulated time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			defer endsWithin(s, 6*time.Hour)()
			run(t, s, faults)
			simulated = time.Since(began)
		})
		return simulated
	})
}

// life is one simulation.
type life struct {
	*testing.T
	*extras
	faults  *Faults
	names   []string
	dice    *Dice
	fake    *fakelivekit.Fake
	store   *memstore.Store
	faulty  *memstore.Faulty
	rooms   *LiveKit
	door    *Door
	hurting atomic.Bool
	// unindexed makes the index unreadable.
	unindexed atomic.Bool
	runs      uint64
	altered   map[string]bool // by another program; a feed does not show it
	follow    *Follower
	copied    *memstore.Copy // an older state of Redis
	old       sync.WaitGroup // runs that are ending
	done      chan struct{}
	cycles    sync.WaitGroup
}

func run(t *testing.T, seed uint64, faults *Faults) {
	door, err := NewDoor()
	if err != nil {
		t.Fatal(err)
	}
	settled := &Settled{}
	l := &life{T: t, faults: faults, names: names, dice: &Dice{Seed: seed}, door: door,
		store: memstore.New(memstore.Options{Feed: true, Watch: settled.Watch}), altered: map[string]bool{}, done: make(chan struct{})}
	l.extras = extrasOf(l.dice)
	l.fake = fakelivekit.New(fakelivekit.Options{Seed: seed, URLs: []string{"http://rollcall/hook"}, Transport: fakelivekit.InProcess(door),
		ListLag: l.listLag()})
	settled.Fake = l.fake
	l.follow = &Follower{Store: l.store}
	l.faulty = &memstore.Faulty{Store: l.store, Order: l.storeFault}
	l.rooms = &LiveKit{Fake: l.fake, Order: l.lookFault}
	l.askByClient()
	l.restart()
	l.crowd()
	l.hurt()
	l.cycles.Go(l.schedule)
	l.cycles.Go(l.phased)
	for range 150 {
		time.Sleep(time.Duration(l.dice.N("pace", 3000)) * time.Millisecond)
		l.act()
		if l.dice.Roll("follow") < 0.5 {
			l.follow.Follow()
		}
	}
	l.heal()
	l.check()
	l.checkWithoutSync()
	for _, broken := range settled.Broken() {
		t.Error(broken)
	}
	l.fake.Close()
	l.end(l.door.Node())
	l.old.Wait()
	time.Sleep(time.Minute) // timers of the actor library expire
}

func (l *life) hurt() {
	l.hurting.Store(true)
	l.fake.SetFate(fakelivekit.Chaos(l.dice.Seed, fakelivekit.Rates{Drop: 0.1, Copy: 0.1, Delay: 0.1, Late: 0.15,
		MaxDelay: 3 * time.Second, MaxLate: 20 * time.Second}))
}

// heal ends the faults and waits until what they delayed has arrived.
func (l *life) heal() {
	l.hurting.Store(false)
	l.fake.SetFate(nil)
	close(l.done)
	l.cycles.Wait()
	// Killed clients time out, late webhooks arrive, the last attempts are made, crashed rooms restart, lists catch up, and the
	// last event becomes older than the lag.
	time.Sleep(90 * time.Second)
	synctest.Wait()
	if err := l.store.Reindex(context.Background(), 0); err != nil { // as the store's own background work does
		l.Error(err)
	}
}

// check compares Redis with LiveKit after one completed cycle that began when the lag was over, or three where the breaker holds.
func (l *life) check() {
	visible := l.visible()
	l.checkWithoutAShard(visible)
	end := l.lastLists()
	report := l.cycle()
	if end(); report.Errors > 0 {
		l.Errorf("the sync after the faults: %d errors, %s", report.Errors, report.Error)
	}
	l.truth("after the faults and a sync", visible)
	l.feed()
	l.indexed("after the faults and a sync")
}

// cycle runs one cycle, or three where the breaker holds, and returns the report of the last one.
func (l *life) cycle() (report reconcile.Report) {
	for range 3 {
		var err error
		report, err = l.door.Node().Sweep.Sync(context.Background(), l.door.Node().Led, reconcile.Options{Scheduled: true})
		if err != nil {
			l.Errorf("a sync after the faults: %v", err)
		}
		if report.Held == nil {
			break
		}
	}
	synctest.Wait()
	return report
}

func (l *life) truth(when string, rooms []string) {
	for _, d := range Truth(l.store, l.fake.Snapshot(), rooms) {
		l.Errorf("%s: %s", when, d)
	}
}

func (l *life) indexed(when string) {
	index, err := l.store.Index(context.Background())
	if err != nil {
		l.Error(err)
	}
	for _, name := range l.names {
		_, listed := slices.BinarySearch(index, name)
		if _, live := l.store.Get(memstore.States, name); live != listed {
			l.Errorf("%s: room %q: keys %v, in the index %v", when, name, live, listed)
		}
	}
}

// visible returns the rooms that a sync can find. A room that LiveKit does not list, that neither Redis nor an actor knows and
// whose webhooks were lost cannot be found by anyone. A room in which nobody is ACTIVE may exist or not.
func (l *life) visible() []string {
	known, err := l.store.Index(context.Background())
	if err != nil {
		l.Error(err)
	}
	awake, err := l.door.Node().Host.Names(context.Background())
	if err != nil {
		l.Error(err)
	}
	return visible(l.fake.Snapshot(), l.names, append(known, awake...))
}

func (l *life) feed() {
	for _, d := range l.follow.Differences(l.names, l.altered) {
		l.Error(d)
	}
	for _, broken := range Feed(l.store, l.altered) {
		l.Error(broken)
	}
}

// schedule acts as the leader: a sync every 30 s and a cleanup every 5 min.
func (l *life) schedule() {
	for n := 1; ; n++ {
		select {
		case <-time.After(30 * time.Second):
		case <-l.done:
			return
		}
		node := l.door.Node()
		_, _ = node.Sweep.Sync(context.Background(), node.Led, reconcile.Options{Scheduled: true})
		if n%10 == 0 {
			_, _ = node.Sweep.Cleanup(context.Background(), node.Led, reconcile.Options{Scheduled: true})
		}
	}
}

// act makes one thing happen, in LiveKit or as a fault.
func (l *life) act() {
	room, p := live(l.dice, l.fake, names)
	l.stir()
	switch {
	case p < 92: // done
	case p < 94:
		l.faults.Note(foreignHand)
		l.altered[room] = true
		alter(l.dice, l.store, room)
	case p < 96:
		l.faults.Note(nodeRestarts)
		l.restart()
	case p < 97:
		l.faults.Note(redisLosesAll)
		synctest.Wait()
		l.feed()
		l.store.Flush()
		l.altered, l.copied = map[string]bool{}, nil
	case p < 98:
		l.faults.Note(liveKitCrashes)
		l.fake.Crash()
		time.Sleep(5 * time.Second)
		l.fake.Start(l.dice.Roll("keep") < 0.5)
	default:
		l.setBack()
	}
}

// setBack sets Redis, or one of its shards, back to an older copy, and keeps a new copy for the next time. Half the time the node
// is restarted as well, so that nobody knows what has been lost.
func (l *life) setBack() {
	synctest.Wait()
	if l.copied != nil {
		l.feed()
		if l.shards {
			l.faults.Note(shardSetBack)
			setBackShard(l.dice, l.store, l.copied)
		} else {
			l.faults.Note(redisSetBack)
			l.store.SetBack(l.copied)
		}
		if l.dice.Roll("set back and restart") < 0.5 {
			l.restart()
		}
	}
	l.copied = l.store.Copy()
}

// live makes one thing happen in LiveKit, chosen by the number p below 92. A higher p is left to the caller, who also gets the
// room.
func live(dice *Dice, fake *fakelivekit.Fake, names []string) (room string, p int) {
	room, who := names[dice.N("room", len(names))], whos[dice.N("who", len(whos))]
	p = dice.N("act", 100)
	switch {
	case p < 35:
		fake.Join(room, fakelivekit.Who{Identity: who, Metadata: fmt.Sprint(p)})
	case p < 60:
		fake.Leave(room, who)
	case p < 66:
		fake.Kill(room, who)
	case p < 72:
		fake.DeleteRoom(room)
	case p < 74:
		fake.DeleteRoomRaced(room)
	case p < 78:
		fake.CreateRoom(&lk.CreateRoomRequest{Name: room})
	case p < 84:
		fake.SetMetadata(room, who, fmt.Sprint(dice.Roll("metadata")))
	case p < 86:
		fake.SetRoomMetadata(room, fmt.Sprint(dice.Roll("metadata")))
	case p < 89:
		fake.Publish(room, who, "mic")
	case p < 92:
		fake.Connect(room, fakelivekit.Who{Identity: who})
	}
	return room, p
}

// alter changes a room's keys as another program would.
func alter(dice *Dice, store *memstore.Store, room string) {
	switch dice.N("alter", 4) {
	case 0:
		store.Set(memstore.Participants, room, `["nobody"]`)
	case 1:
		store.Delete(memstore.States, room)
	case 2:
		store.WrongType(memstore.States, room)
	case 3:
		store.Unlist(room)
	}
}

// restart starts a new run of the node. The old run is stopped, or killed; a killed run continues for a while under its old
// claims.
func (l *life) restart() {
	l.runs++
	node, err := NewNode(l.runs, l.faulty, l.rooms)
	if err != nil {
		l.Fatal(err)
	}
	old := l.door.Node()
	l.door.Lead(node)
	if old != nil {
		l.old.Go(func() {
			if l.dice.Roll("kill") < 0.5 {
				time.Sleep(10 * time.Second)
			}
			l.end(old)
		})
	}
}

func (l *life) end(node *Node) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = node.Host.Stop(ctx) // a crashed room may wait longer for its restart
}

func (l *life) storeFault(op memstore.Op, room string) memstore.Fault {
	if op == memstore.Index && l.unindexed.Load() {
		return memstore.Fault{Err: errAny}
	}
	if f, hit := l.phases.Fault(l.dice, op, room); hit {
		return f
	}
	if !l.hurting.Load() {
		return memstore.Fault{}
	}
	return storeFault(l.dice, l.faults, op, room)
}

func storeFault(dice *Dice, faults *Faults, op memstore.Op, room string) memstore.Fault {
	topic := string(op) + room
	f := memstore.Fault{}
	switch p := dice.Roll(topic); {
	case p < 0.05:
		faults.Note(callFails)
		f.Err = errAny
	case p < 0.10:
		faults.Note(answerLost)
		f.Err, f.Late = errAny, true
	case p < 0.11:
		faults.Note(callHangs)
		f.Hang, f.Late = true, dice.Roll(topic) < 0.5
		if op == memstore.Index { // a sync reads the index without its own limit: the real store has one
			f = memstore.Fault{Delay: 5 * time.Second, Err: errAny}
		}
	case p < 0.115 && room != "": // its actor is restarted; elsewhere a bug ends the process
		faults.Note(crashes)
		panic("a bug that was ordered")
	case p < 0.25:
		f.Delay = time.Duration(dice.N(topic, 300)) * time.Millisecond
	}
	return f
}

func (l *life) lookFault(room string) LookFault {
	if !l.hurting.Load() {
		return LookFault{}
	}
	return lookFault(l.dice, l.faults, room)
}

// lookFault makes LiveKit's API fail, lag, or give wrong answers for fewer than two looks.
func lookFault(dice *Dice, faults *Faults, room string) LookFault {
	topic := "look" + room
	switch p := dice.Roll(topic); {
	case p < 0.1:
		faults.Note(liveKitFails)
		return LookFault{Err: errAny}
	case p < 0.12:
		faults.Note(liveKitLies)
		return LookFault{Empty: true}
	case p < 0.4:
		return LookFault{Delay: time.Duration(dice.N(topic, 400)) * time.Millisecond}
	}
	return LookFault{}
}

// TestTheChecksSee checks that the checker finds states that are wrong.
func TestTheChecksSee(t *testing.T) {
	store, fake := memstore.New(memstore.Options{Feed: true}), fakelivekit.New(fakelivekit.Options{})
	defer fake.Close()
	if d := Truth(store, fake.Snapshot(), names); d != nil {
		t.Error(d)
	}
	fake.Join("plain", fakelivekit.Who{Identity: "a"})
	if d := Truth(store, fake.Snapshot(), names); len(d) != 1 || !strings.Contains(d[0], none) {
		t.Error(d)
	}
	store.Set(memstore.States, "*", "{}")
	if d := Truth(store, fake.Snapshot(), names); len(d) != 2 {
		t.Error(d)
	}
	commit := func(room string, claim, version, prev uint64, changes ...reconcile.Change) {
		c := reconcile.Claim{Generation: 1, Epoch: claim}
		rec, err := store.Claim(t.Context(), room, c)
		if err == nil {
			_, err = store.Commit(t.Context(), reconcile.Commit{Room: room, Claim: c, Expect: rec.Version, Version: version, Prev: prev,
				Public: reconcile.Write, State: &reconcile.State{Version: version}, Changes: changes, Cause: reconcile.ByWebhook})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	started := reconcile.Change{Type: reconcile.RoomStarted}
	commit("r", 1, 5, 0, started)
	commit("r", 2, 6, 5, reconcile.Change{Type: reconcile.RoomUpdated})
	if d := Feed(store, nil); len(d) != 0 {
		t.Error(d)
	}
	commit("r", 3, 7, 5, reconcile.Change{Type: reconcile.RoomUpdated})                          // wrong chain
	commit("r", 3, 6, 7, reconcile.Change{Type: reconcile.RoomUpdated})                          // an older version
	commit("s", 1, 1, 0, started, reconcile.Change{Type: reconcile.ParticipantJoined, SID: "?"}) // not in the keys
	p := reconcile.NewMember(reconcile.Participant{Identity: "i", SID: "p", JoinedAt: 7})
	joined := reconcile.Change{Type: reconcile.ParticipantJoined, Member: p, SID: "p"}
	left := reconcile.Change{Type: reconcile.ParticipantLeft, Member: p, SID: "p", LeftAt: 8}
	commit("t", 1, 1, 0, started, joined, left)
	commit("t", 1, 2, 1, joined, left)                                                                            // a webhook brings it back
	commit("u", 1, 1, 0, started, joined, left, joined, left)                                                     // neither left nor joined
	commit("v", 1, 1, 0, started, joined, reconcile.Change{Type: reconcile.ParticipantLeft, Member: p, SID: "p"}) // it left, but its end has no time
	if d := Feed(store, nil); len(d) != 7 {
		t.Error(d)
	}
}

const none = "no room"
