package sim_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// The kinds of faults, as they are counted.
const (
	foreignHand    = "a foreign hand"
	nodeRestarts   = "node restarts"
	redisLosesAll  = "Redis loses all"
	redisSetBack   = "Redis is set back"
	shardSetBack   = "a shard is set back"
	shardHangs     = "a shard hangs"
	redisSlow      = "Redis is slow"
	redisFlaky     = "Redis is flaky"
	callFails      = "a call of Redis fails"
	answerLost     = "an answer of Redis is lost"
	callHangs      = "a call of Redis hangs"
	crashes        = "a crash"
	liveKitCrashes = "LiveKit crashes"
	liveKitFails   = "LiveKit's API fails"
	liveKitLies    = "LiveKit's API lists nothing"
	liveKitLimits  = "LiveKit answers 429"
	lowBudget      = "a low request budget"
	unreadable     = "an unreadable entry"
	manyRooms      = "more than 1,000 rooms"
)

var singleKinds = []string{foreignHand, nodeRestarts, redisLosesAll, redisSetBack, shardSetBack, shardHangs, redisSlow, redisFlaky, callFails,
	answerLost, callHangs, crashes, liveKitCrashes, liveKitFails, liveKitLies, liveKitLimits, lowBudget, unreadable, manyRooms}

// crowded is the number of idle rooms in a seed with many rooms: more than a page of the index, and more than the batches of one
// owner's part of a sync.
const crowded = 1100

// extras are what only some seeds have.
type extras struct {
	many   bool // idle rooms in addition to the busy ones
	shards bool // Redis is a cluster, whose shards hang and are set back
	sick   bool // Redis has slow and flaky phases
	client bool // LiveKit is behind the real client, and lists unreadable entries
	budget bool // the request budget is low, and LiveKit limits requests
	phases Phases
	limit  Limited
}

// extrasOf rolls a seed's extras.
func extrasOf(dice *Dice) *extras {
	e := &extras{}
	has := func(what string, share float64) bool { return dice.Roll("has "+what) < share }
	e.many, e.shards, e.sick = dice.Seed%12 == 5, has("shards", 0.35), has("a sick Redis", 0.35)
	e.client = !e.many && has("the client", 0.3)
	e.budget = e.client && has("a budget", 0.5)
	return e
}

// listLag returns the most that LiveKit's lists may lag. The fake copies all rooms at each event for it, which is too expensive
// with many rooms.
func (l *life) listLag() time.Duration {
	if l.many {
		return 0
	}
	return time.Duration(l.dice.N("lag", 9)) * time.Second
}

// askByClient puts the real client in front of LiveKit, in seeds that have it.
func (l *life) askByClient() {
	if !l.client {
		return
	}
	l.limit.Next = fakelivekit.InProcess(l.fake)
	o := livekit.Options{Host: "livekit.test", Key: fakelivekit.DefaultKey, Secret: fakelivekit.DefaultSecret, Transport: &l.limit}
	if l.budget {
		l.faults.Note(lowBudget)
		o.Rate = float64(3 + l.dice.N("rate", 30))
	}
	client, err := livekit.New(o)
	if err != nil {
		l.Fatal(err)
	}
	client.Share(1)
	l.rooms.Client = client
	l.fake.SetAPIFault(l.unreadable)
}

// unreadable adds unusable entries to one list in five.
func (l *life) unreadable(c fakelivekit.Call) (f fakelivekit.APIFault) {
	topic := "entries " + c.Method + c.Room
	if !l.hurting.Load() || l.dice.Roll(topic) > 0.2 {
		return f
	}
	l.faults.Note(unreadable)
	all := append(FaultyPeople(), Nameless())
	if c.Method == "ListRooms" {
		all = append(FaultyRooms(), UnreadableName())
	}
	return fakelivekit.APIFault{Entries: all[l.dice.N(topic, len(all)):]}
}

// lastLists adds entries to the last lists that protect none of our rooms, and lets LiveKit refuse requests for a while. Neither
// may keep a sync from its work.
func (l *life) lastLists() (end func()) {
	if !l.client {
		return func() {}
	}
	shown, peopled := l.fake.Snapshot(), map[string]bool{} // in any other room such an entry would mean that the room exists
	for _, name := range l.names {
		peopled[name] = len(shown.Participants(name)) > 0
	}
	l.fake.SetAPIFault(func(c fakelivekit.Call) (f fakelivekit.APIFault) {
		if c.Method == "ListRooms" {
			f.Entries = FaultyRooms()
		} else if peopled[c.Room] {
			f.Entries = FaultyPeople()
		}
		return f
	})
	if l.budget {
		l.limit.On.Store(true)
		time.AfterFunc(45*time.Second, func() { l.limit.On.Store(false) })
	}
	return func() {
		l.fake.SetAPIFault(nil)
		l.limit.On.Store(false)
	}
}

// crowd creates the idle rooms of a seed with many rooms, without webhooks.
func (l *life) crowd() {
	if !l.many {
		return
	}
	l.faults.Note(manyRooms)
	l.fake.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	l.names = slices.Clone(l.names)
	for i := range crowded {
		l.names = append(l.names, quiet(i))
		l.fake.Join(quiet(i), fakelivekit.Who{Identity: "anna"})
	}
}

func quiet(i int) string { return fmt.Sprintf("quiet %04d", i) }

// stir makes something happen in one of the idle rooms.
func (l *life) stir() {
	if !l.many {
		return
	}
	room, who := quiet(l.dice.N("quiet", crowded)), whos[l.dice.N("quiet", len(whos))]
	if !l.fake.Leave(room, who) {
		l.fake.Join(room, fakelivekit.Who{Identity: who})
	}
}

// phased begins a bad phase from time to time, of the kinds that the seed has.
func (l *life) phased() {
	var kinds []string
	for kind, has := range map[string]bool{redisSlow: l.sick, redisFlaky: l.sick, shardHangs: l.shards, liveKitLimits: l.budget} {
		if has {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	for len(kinds) > 0 && l.rest(20_000) {
		kind := kinds[l.dice.N("phase", len(kinds))]
		l.faults.Note(kind)
		end := l.begin(kind)
		l.rest(15_000)
		end()
	}
}

func (l *life) begin(kind string) (end func()) {
	switch kind {
	case redisSlow:
		return l.phases.Slow()
	case redisFlaky:
		return l.phases.Flaky()
	case shardHangs:
		return l.phases.Hang(l.dice.N("phase", Shards))
	}
	l.limit.On.Store(true)
	return func() { l.limit.On.Store(false) }
}

// rest waits for up to mostMs ms and reports whether the faults are still going on.
func (l *life) rest(mostMs int) bool {
	select {
	case <-time.After(time.Duration(l.dice.N("phase", mostMs)) * time.Millisecond):
		return true
	case <-l.done:
		return false
	}
}

// setBackShard sets one shard back to an older copy.
func setBackShard(dice *Dice, store *memstore.Store, copied *memstore.Copy) {
	shard := dice.N("set back", Shards)
	store.SetBackSome(copied, func(room string) bool { return Shard(room) == shard })
}
