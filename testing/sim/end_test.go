package sim_test

import (
	"context"
	"slices"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// checkWithoutAShard compares the rooms of the other shards with LiveKit after a sync while one shard hangs.
func (l *life) checkWithoutAShard(visible []string) {
	if !l.shards {
		return
	}
	hung := l.dice.N("last shard", Shards)
	end := l.phases.Hang(hung)
	defer end()
	if report := l.cycle(); report.Errors == 0 {
		l.Error("a sync does not tell of a shard that hangs")
	}
	l.truth("while a shard hangs", slices.DeleteFunc(slices.Clone(visible), func(room string) bool { return Shard(room) == hung }))
}

// checkWithoutSync checks that webhooks and claims alone keep Redis equal to LiveKit: no more cycles run, except the one of
// endUnseen.
func (l *life) checkWithoutSync() {
	l.fake.CatchUp() // a poll that an event asks for may rely on an older list for up to the lag
	rooms := l.listed()
	rooms = byWebhooks(l.dice, l.fake, rooms, func(room string) { l.truth("by webhooks alone", []string{room}) })
	l.endUnseen()
	l.restart()
	time.Sleep(10 * time.Second)
	index, err := l.store.Index(context.Background())
	if err != nil {
		l.Error(err)
	}
	claimed(l, l.store, index, func(string) uint64 { return l.door.Node().Claimed.Incarnation })
	byWebhooks(l.dice, l.fake, rooms, func(room string) { l.truth("by webhooks alone, after a restart", []string{room}) })
	l.indexed("after a restart")
	l.feed()
}

// listed returns the busy rooms that LiveKit lists, or that do not exist at all.
func (l *life) listed() []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return unlisted(l.fake.Snapshot(), name) })
}

// unlisted reports whether a room lives on although it is missing from the list of rooms: its end sends no webhook.
func unlisted(shown *fakelivekit.Snapshot, name string) bool {
	return len(shown.Rooms(name)) == 0 && len(shown.Participants(name)) > 0
}

// endUnseen ends idle rooms without a webhook and restarts the node, which cannot read the index when it starts: only a sync that
// reads the whole index finds them.
func (l *life) endUnseen() {
	if !l.many {
		return
	}
	l.fake.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	for i := 0; i < crowded; i += 25 {
		l.fake.DeleteRoom(quiet(i))
	}
	l.fake.SetFate(nil)
	l.unindexed.Store(true)
	l.restart()
	time.Sleep(2 * Lag)
	l.unindexed.Store(false)
	visible := l.visible()
	if report := l.cycle(); report.Errors > 0 || report.Held != nil {
		l.Errorf("the sync after rooms ended unseen: %+v", report)
	}
	l.truth("after rooms ended unseen and a sync", visible)
	l.indexed("after rooms ended unseen and a sync")
}

// byWebhooks makes people come and go and rooms end, with webhooks that come at once and in order, and checks each room after
// each step. It returns the rooms for which this still holds: a room that was deleted while someone joined lives on unlisted,
// which may show only at the next join.
func byWebhooks(dice *Dice, fake *fakelivekit.Fake, rooms []string, check func(room string)) []string {
	for n := 0; n < 10 && len(rooms) > 0; n++ {
		room, who := rooms[dice.N("webhooks", len(rooms))], whos[dice.N("webhooks", len(whos))]
		switch p := dice.N("webhooks", 10); {
		case p < 5:
			fake.Join(room, fakelivekit.Who{Identity: who, Metadata: "late"})
		case p < 7:
			fake.Leave(room, who)
		case p < 8:
			fake.Remove(room, who)
		default:
			fake.DeleteRoom(room)
		}
		time.Sleep(time.Duration(2000+dice.N("webhooks", 2000)) * time.Millisecond)
		synctest.Wait()
		if unlisted(fake.Snapshot(), room) {
			rooms = slices.DeleteFunc(rooms, func(name string) bool { return name == room })
		} else {
			check(room)
		}
	}
	return rooms
}

// claimed checks that the owners have claimed these rooms, as they must at once: until then Redis cannot refuse the previous
// owner.
func claimed(t interface{ Errorf(string, ...any) }, store *memstore.Store, rooms []string, owner func(room string) (incarnation uint64)) {
	var missing []string
	for _, room := range rooms {
		if c, err := store.Claimed(context.Background(), room); err != nil || c == (reconcile.Claim{}) || c.Incarnation != owner(room) {
			missing = append(missing, room)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d rooms have not been claimed by their owners: %.200q", len(missing), len(rooms), missing)
	}
}
