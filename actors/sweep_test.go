package actors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// crowd makes n rooms with one participant each, which LiveKit and Redis both know.
func crowd(r *rig, n int) (rooms []string) {
	for i := range n {
		room := fmt.Sprint("room", i)
		r.must(r.lk.join(room, "a"))
		rooms = append(rooms, room)
	}
	return rooms
}

func drift(t testing.TB, r reconcile.Report, want map[reconcile.Reason]int) {
	t.Helper()
	if fmt.Sprint(r.Drift) != fmt.Sprint(want) {
		t.Errorf("drift %v, want %v", r.Drift, want)
	}
}

func TestTheFirstSyncSeesWhatNoWebhookTold(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.join("r", "a")
		r.lk.join("r", "b")
		r.lk.start("empty")
		report := r.sync(reconcile.Options{Scheduled: true})
		r.present("r", "a", "b")
		r.present("empty", []string{}...)
		if report.Synced != 2 || report.Errors != 0 || report.Changed != 2 || report.Cleaned != 0 {
			t.Errorf("%+v", report)
		}
		drift(t, report, map[reconcile.Reason]int{reconcile.UnseenRoom: 2, reconcile.MissedJoin: 2})
		if again := r.sync(reconcile.Options{}); again.Changed != 0 || len(again.Drift) != 0 || again.Rooms != 2 || again.Participants != 2 {
			t.Errorf("a second sync: %+v", again)
		}
	})
}

func TestSilenceRemovesInTwoRounds(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("r", "gone"), r.lk.join("over", "a"))
		r.lk.leave("r", "gone")
		r.lk.finish("over")
		r.lk.join("r", "new")
		time.Sleep(settle)
		start := time.Now()
		report := r.syncNow(reconcile.Options{Scheduled: true})
		r.present("r", "a", "new")
		r.present("over")
		if report.Synced != 2 || report.Cleaned != 1 || report.Errors != 0 || report.Held != nil {
			t.Errorf("%+v", report)
		}
		drift(t, report, map[reconcile.Reason]int{reconcile.MissedJoin: 1, reconcile.MissedLeave: 1, reconcile.Ghost: 1, reconcile.UnseenFinish: 1})
		if took := time.Since(start); took < time.Second || took > 2*time.Second {
			t.Errorf("it took %v, want the two looks 1 s apart", took)
		}
	})
}

// A sync of one room asks LiveKit about that room only, looks twice before it removes, and has a dry run and force like one of all rooms.
func TestASyncOfOneRoom(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("r", "gone"), r.lk.join("other", "a"), r.lk.join("other", "gone"))
		for _, room := range []string{"r", "other"} {
			r.lk.leave(room, "gone")
			r.lk.join(room, "new")
		}
		time.Sleep(settle)
		before := len(r.lk.looked("other"))
		dry := r.syncNow(reconcile.Options{Room: "r", DryRun: true})
		if len(dry.Differences) != 2 || dry.Synced != 1 {
			t.Errorf("a dry run: %+v", dry)
		}
		r.present("r", "a", "gone")
		r.lk.faultyNames = func(*reconcile.RoomNames) { t.Error("LiveKit was asked for all rooms") }
		report := r.syncNow(reconcile.Options{Room: "r"})
		r.lk.faultyNames = nil
		if report.Synced != 1 || report.Changed == 0 || report.Errors != 0 || report.Rooms != 1 {
			t.Errorf("%+v", report)
		}
		drift(t, report, map[reconcile.Reason]int{reconcile.MissedJoin: 1, reconcile.MissedLeave: 1})
		r.present("r", "a", "new")
		r.present("other", "a", "gone")
		if now := len(r.lk.looked("other")); now != before {
			t.Errorf("LiveKit was asked %d times about the other room", now-before)
		}
		r.lk.finish("r")
		if report := r.syncNow(reconcile.Options{Room: "r"}); report.Cleaned != 1 {
			t.Errorf("the room has ended: %+v", report)
		}
		r.present("r")
		if report := r.syncNow(reconcile.Options{Room: "nowhere"}); report.Synced != 1 || report.Changed+report.Cleaned+report.Errors != 0 {
			t.Errorf("a room that nobody has: %+v", report)
		}
		r.present("nowhere")
	})
}

// A sync of a room that nobody has says so, and later syncs do not compare that room.
func TestASyncOfAnAbsentRoom(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("live", "a"))
		r.lk.join("unseen", "a")
		for room, absent := range map[string]bool{"nowhere": true, "live": false, "unseen": false} {
			for _, o := range []reconcile.Options{{Room: room, DryRun: true}, {Room: room}} {
				if report := r.syncNow(o); report.Absent() != absent {
					t.Errorf("%+v: absent %v: %+v", o, !absent, report)
				}
			}
		}
		if report := r.syncNow(reconcile.Options{}); report.Synced != 2 {
			t.Errorf("the sync after it compared %d rooms, want 2", report.Synced)
		}
		r.lk.finish("unseen")
		if report := r.sync(reconcile.Options{Room: "unseen"}); report.Absent() || report.Cleaned != 1 {
			t.Errorf("a room that has ended: %+v", report)
		}
		if report := r.syncNow(reconcile.Options{Room: "unseen"}); !report.Absent() {
			t.Errorf("after its end: %+v", report)
		}
	})
}

// A sync of one room has the fault of one of all rooms.
func TestASyncOfOneRoomHasAFault(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		for err, want := range map[error]reconcile.Fault{errReset: reconcile.LiveKitSilent, reconcile.ErrRefused: reconcile.LiveKitRefuses, nil: ""} {
			r.lk.order(func(room string) (bool, error) { return false, err })
			report := r.syncNow(reconcile.Options{Room: "r", DryRun: true})
			if report.Fault != want || (report.Errors > 0) != (want != "") || (report.Error != "") != (want != "") || report.Absent() {
				t.Errorf("%v: %+v", err, report)
			}
		}
		r.sweep.Index = failingIndex{}
		if report := r.syncNow(reconcile.Options{Room: "r"}); report.Fault != reconcile.RedisSilent || report.Errors != 1 {
			t.Errorf("Redis does not answer: %+v", report)
		}
		r.present("r", "a")
	})
}

type failingIndex struct{}

func (failingIndex) Rooms(context.Context, string, int, string) ([]string, string, error) {
	return nil, "", errReset
}

// The breaker holds a mass removal in one room too, and such a sync does not count for the cycles that agree.
func TestASyncOfOneRoomIsHeld(t *testing.T) {
	bubble(t, func(r *rig) {
		var all []string
		for i := range 12 {
			all = append(all, fmt.Sprintf("p%02d", i))
			r.must(r.lk.join("r", all[i]))
			time.Sleep(time.Millisecond)
		}
		for _, identity := range all {
			r.lk.leave("r", identity)
		}
		time.Sleep(settle)
		for range 4 {
			if report := r.syncNow(reconcile.Options{Room: "r"}); report.Held == nil || report.Held.Participants != 12 || report.Held.Cycles != 0 {
				t.Errorf("%+v", report)
			}
		}
		r.present("r", all...)
		r.syncNow(reconcile.Options{Room: "r", Force: true})
		r.present("r", []string{}...)
	})
}

// A sync of one room waits for the cycle that is running, and neither joins it nor is joined.
func TestASyncOfOneRoomWaitsForItsTurn(t *testing.T) {
	bubble(t, func(r *rig) {
		crowd(r, 3)
		r.lk.leave("room1", "a") // the cycle looks again after a pause
		time.Sleep(settle)
		var reports [3]reconcile.Report
		var group sync.WaitGroup
		for i, o := range []reconcile.Options{{}, {Room: "room0"}, {}} {
			group.Go(func() { reports[i] = r.syncNow(o) })
			synctest.Wait()
		}
		group.Wait()
		if reports[0].Synced != 3 || reports[1].Synced != 1 || reports[1].Joined || !reports[2].Joined {
			t.Errorf("%+v", reports)
		}
	})
}

// A participant who comes back between the rounds stays.
func TestTheSecondRoundLooksAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("s", "a"))
		r.lk.order(func(string) (bool, error) { return true, nil })
		time.AfterFunc(500*time.Millisecond, func() { r.lk.order(nil) })
		if report := r.sync(reconcile.Options{Scheduled: true}); report.Cleaned != 0 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("r", "a")
		r.present("s", "a")
	})
}

func TestALiveKitThatFailsDeletesNothing(t *testing.T) {
	for name, fault := range map[string]func(string) (bool, error){
		"all fail":          func(string) (bool, error) { return false, errReset },
		"lists fail":        func(room string) (bool, error) { return room == "", map[bool]error{true: errReset}[room == ""] },
		"participants fail": func(room string) (bool, error) { return true, map[bool]error{true: errReset}[room != ""] },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				rooms := crowd(r, 3)
				before := r.keys(rooms...)
				r.lk.order(fault)
				for range 5 {
					report := r.sync(reconcile.Options{Scheduled: true, Force: true})
					if report.Errors != 3 || report.Synced != 0 || report.Error == "" || (report.Fault == reconcile.LiveKitSilent) != (name != "participants fail") {
						t.Errorf("%+v", report)
					}
				}
				same(t, "the keys have changed", r.keys(rooms...), before)
			})
		})
	}
}

// A cycle without a list of rooms says whose list it lacks.
func TestACycleNamesItsFault(t *testing.T) {
	for want, err := range map[reconcile.Fault]error{
		reconcile.LiveKitSilent: errReset, reconcile.LiveKitRefuses: reconcile.ErrRefused, reconcile.LiveKitLimited: reconcile.ErrNoTurn,
	} {
		bubble(t, func(r *rig) {
			r.lk.order(func(string) (bool, error) { return false, err })
			if report := r.sync(reconcile.Options{}); report.Fault != want || report.Errors != 1 {
				t.Errorf("%v: %+v", err, report)
			}
			r.lk.order(nil)
			if report := r.sync(reconcile.Options{}); report.Fault != "" || report.Errors != 0 {
				t.Errorf("after %v: %+v", err, report)
			}
		})
	}
}

// TestACycleSaysThatRedisIsEmpty checks that a cycle that LiveKit fails says whether Redis holds no room, since Redis may have been restarted empty.
func TestACycleSaysThatRedisIsEmpty(t *testing.T) {
	bubble(t, func(r *rig) {
		fails := func(string) (bool, error) { return false, errReset }
		r.must(r.lk.join("r", "a"))
		for _, room := range []string{"", "r"} {
			for _, empty := range []bool{false, true} {
				r.sync(reconcile.Options{})
				r.lk.order(fails)
				if empty {
					r.store.Flush()
				}
				if report := r.sync(reconcile.Options{Room: room, DryRun: true}); report.RedisEmpty != empty || report.Fault != reconcile.LiveKitSilent {
					t.Errorf("room %q, empty %v: %+v", room, empty, report)
				}
				r.lk.order(nil)
			}
		}
		r.store.Flush()
		if report := r.sync(reconcile.Options{}); report.RedisEmpty || report.Synced != 1 {
			t.Errorf("the first good sync: %+v", report)
		}
		r.present("r", "a")
	})
}

// TestAPartOfRedisIsNotAllOfIt checks that Redis is not called empty while a part of it does not answer.
func TestAPartOfRedisIsNotAllOfIt(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.order(func(string) (bool, error) { return false, errReset })
		r.sweep.Index = partOfAnIndex{}
		for _, room := range []string{"", "r"} {
			if report := r.sync(reconcile.Options{Room: room, DryRun: true}); report.RedisEmpty || report.Fault != reconcile.LiveKitSilent {
				t.Errorf("room %q: %+v", room, report)
			}
		}
	})
}

type partOfAnIndex struct{}

func (partOfAnIndex) Rooms(context.Context, string, int, string) ([]string, string, error) {
	return nil, "", reconcile.ErrIncomplete
}

func TestTheBreaker(t *testing.T) {
	scheduled, manual := reconcile.Options{Scheduled: true}, reconcile.Options{}
	for _, c := range []struct {
		name    string
		rooms   int // all of them but one vanish
		cycles  []reconcile.Options
		held    []int // number of held cycles in each report; 0 for none
		removed bool
	}{
		{"ten are let through", 11, []reconcile.Options{scheduled}, []int{0}, true},
		{"eleven are held", 12, []reconcile.Options{scheduled, scheduled}, []int{1, 2}, false},
		{"three scheduled cycles agree", 12, []reconcile.Options{scheduled, scheduled, scheduled}, []int{1, 2, 0}, true},
		{"a manual sync does not count", 12, []reconcile.Options{scheduled, manual, manual, manual, scheduled}, []int{1, 1, 1, 1, 2}, false},
		{"force", 12, []reconcile.Options{scheduled, {Force: true}}, []int{1, 0}, true},
		{"a dry run of force", 12, []reconcile.Options{scheduled, scheduled, {Force: true, DryRun: true}, scheduled}, []int{1, 2, 0, 0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				rooms := crowd(r, c.rooms)
				for _, room := range rooms[1:] {
					r.lk.finish(room)
				}
				for i, o := range c.cycles {
					report, held := r.sync(o), 0
					if report.Held != nil {
						held = report.Held.Cycles
						if report.Held.Rooms != c.rooms-1 || report.Held.Participants != c.rooms-1 {
							t.Errorf("cycle %d: held %+v", i, report.Held)
						}
					}
					if held != c.held[i] {
						t.Errorf("cycle %d: held for %d cycles, want %d", i, held, c.held[i])
					}
					if i < len(c.cycles)-1 {
						r.present("room1", "a")
					}
					time.Sleep(30 * time.Second)
				}
				if r.present("room0", "a"); c.removed {
					r.present("room1")
				} else {
					r.present("room1", "a")
				}
			})
		})
	}
}

// Each new leader's first sync comes at once. LiveKit gives empty answers for seconds, and leadership moves twice meanwhile.
func TestLeadersInARowAreNotThreeCyclesThatAgree(t *testing.T) {
	bubble(t, func(r *rig) {
		const interval = 30 * time.Second
		agreed := fsm.State{}
		r.sweep.Counts = func(_ context.Context, leader reconcile.Token, at time.Time) bool {
			// The leader has claimed leadership before, so the cluster's token is the leader's.
			agreed.Generation, agreed.Leader.Index = leader.Generation, leader.Index
			var result fsm.Result
			agreed, result = agreed.Apply(agreed.Applied+1, fsm.CountCycle(leader, fsm.Count{At: at.UnixMilli(), Spacing: interval.Milliseconds()}))
			return result.Err() == nil
		}
		rooms := crowd(r, 20)
		for _, room := range rooms {
			r.lk.finish(room)
		}
		time.Sleep(settle)
		for range 3 {
			r.own.change(func(o *ownership) { o.leader.Index++ })
			report := r.syncNow(reconcile.Options{Scheduled: true})
			if report.Held == nil || report.Held.Rooms != len(rooms) || report.Held.Cycles != 1 || !report.Scheduled {
				t.Errorf("%+v, held %+v; want all held by one cycle", report, report.Held)
			}
			time.Sleep(time.Second)
		}
		r.present("room0", "a")
		for range 2 {
			time.Sleep(interval)
			r.syncNow(reconcile.Options{Scheduled: true})
		}
		r.present("room0")
	})
}

// The three cycles count for each participant, not for its room.
func TestTheBreakerLetsOnlyTheAgreedGo(t *testing.T) {
	bubble(t, func(r *rig) {
		for i := range 40 {
			r.must(r.lk.join("r", fmt.Sprintf("%02d", i)))
		}
		want := []int{40, 40, 10, 5}
		for cycle, left := range []int{30, 0, 5, 0} { // so many vanish before each cycle, without a webhook
			for range left {
				r.lk.leave("r", r.lk.rooms["r"].people[0].Identity)
			}
			report := r.sync(reconcile.Options{Scheduled: true})
			state, _ := r.store.Get(memstore.Participants, "r")
			if n := strings.Count(state, ",") + 1; n != want[cycle] {
				t.Errorf("after cycle %d %d remain, want %d: %+v", cycle, n, want[cycle], report)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

func TestRecoveryResetsTheBreaker(t *testing.T) {
	bubble(t, func(r *rig) {
		rooms := crowd(r, 20)
		lie := true
		r.lk.order(func(string) (bool, error) { return lie, nil })
		for _, now := range []bool{true, true, false, true, true} {
			lie = now
			if report := r.sync(reconcile.Options{Scheduled: true}); (report.Held != nil) != now || report.Cleaned != 0 {
				t.Errorf("%+v", report)
			}
		}
		for _, room := range rooms {
			r.present(room, "a")
		}
	})
}

func TestTheUnionOfIndexLiveKitAndActors(t *testing.T) {
	bubble(t, func(r *rig) {
		ctx := context.Background()
		r.lk.join("listed", "a") // only LiveKit knows it
		gone := r.lk.join("indexed", "a")
		r.must(gone, r.lk.join("actor", "a"))
		r.lk.finish("indexed") // only the index has it, once its actor has ended
		if err := r.host.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		fresh := newRig(t, func(c *actors.HostConfig) {
			c.Store, c.Rooms = &memstore.Faulty{Store: r.store, Order: r.faults.of}, r.lk
		})
		r.host, r.router, r.sweep = fresh.host, fresh.router, fresh.sweep
		r.sweep.Index, r.sweep.Rooms = r.store, r.lk
		r.must(r.lk.join("actor", "b"))
		r.store.Unlist("actor") // only its actor knows it
		r.lk.order(func(room string) (bool, error) { return false, nil })
		r.lk.finish("actor")
		report := r.sync(reconcile.Options{})
		if report.Synced != 3 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("listed", "a")
		r.present("indexed")
		r.present("actor")
	})
}

// TestAnActorThatEndsWhileTheIndexIsRead checks a sync while Redis is slow. LiveKit does not list the room, and Redis does not have it: only
// an idle actor knows it, and ends while the sync reads the index.
func TestAnActorThatEndsWhileTheIndexIsRead(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.order(func(room string) (bool, error) { return room == "", nil })
		r.lk.join("unlisted", "a")
		r.lk.join("unlisted", "b")
		r.must(r.lk.leave("unlisted", "b"))
		time.Sleep(settle)
		r.present("unlisted")
		r.sweep.Index = &memstore.Faulty{Store: r.store, Order: func(memstore.Op, string) memstore.Fault {
			return memstore.Fault{Delay: 3 * time.Minute}
		}}
		if report := r.syncNow(reconcile.Options{}); report.Synced != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("unlisted", "a")
	})
}

// TestAnActorWaitsForRedis checks a room that only an idle actor knows while Redis fails for longer than an idle actor stays. The actor does
// not end before a look has succeeded.
func TestAnActorWaitsForRedis(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.order(func(room string) (bool, error) { return room == "", nil })
		r.lk.join("unlisted", "a")
		r.lk.join("unlisted", "b")
		r.must(r.lk.leave("unlisted", "b"))
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: errReset} })
		if report := r.sync(reconcile.Options{}); report.Errors != 1 {
			t.Errorf("%+v", report)
		}
		time.Sleep(10 * time.Minute)
		r.faults.set(nil)
		if report := r.sync(reconcile.Options{}); report.Synced != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("unlisted", "a")
		r.lk.finish("unlisted")
		r.sync(reconcile.Options{})
		r.present("unlisted")
		time.Sleep(3 * time.Minute)
		if names := r.names(); len(names) > 0 {
			t.Errorf("%q have an actor although they are finished", names)
		}
	})
}

// TestAnActorWaitsForItsLastMessage is TestAnActorWaitsForRedis for a Redis that begins to fail just before the actor would end: the message on
// which the actor works meanwhile is the one by which it learns so.
func TestAnActorWaitsForItsLastMessage(t *testing.T) {
	// The actor ends at the first tick, of 30 s, after 2 min. No look begins at a tick: both orders would be right then.
	for start := 111 * time.Second; start < 180*time.Second; start += 2 * time.Second {
		bubble(t, func(r *rig) {
			r.lk.order(func(room string) (bool, error) { return room == "", nil })
			r.lk.join("unlisted", "a")
			r.lk.join("unlisted", "b")
			r.must(r.lk.leave("unlisted", "b"))
			time.Sleep(start)
			if len(r.names()) == 0 {
				return
			}
			r.faults.set(func(_ memstore.Op, room string) memstore.Fault { return memstore.Fault{Hang: room == "unlisted"} })
			if report := r.syncNow(reconcile.Options{}); report.Errors != 1 {
				t.Errorf("%+v", report)
			}
			r.faults.set(nil)
			if report := r.sync(reconcile.Options{}); report.Synced != 1 || report.Errors != 0 {
				t.Errorf("the look began %v after the last webhook: %+v", start, report)
			}
			r.present("unlisted", "a")
		})
	}
}

// TestAnActorThatNeverReadRedisWaits is TestAnActorWaitsForRedis for an actor that has not claimed its room yet: its first webhook came when
// Redis failed already.
func TestAnActorThatNeverReadRedisWaits(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.order(func(room string) (bool, error) { return room == "", nil })
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: errReset} })
		is(t, r.deliver(r.lk.join("unlisted", "a")), actors.ErrUnavailable)
		time.Sleep(10 * time.Minute)
		r.faults.set(nil)
		if report := r.sync(reconcile.Options{}); report.Synced != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("unlisted", "a")

		// It does not wait for a room of which another node is the owner.
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: reconcile.StaleOwner} })
		is(t, r.deliver(r.lk.join("another's", "a")), actors.ErrFenced)
		time.Sleep(3 * time.Minute)
		if names := r.names(); !slices.Equal(names, []string{"unlisted"}) {
			t.Errorf("%q have an actor", names)
		}
	})
}

func TestOnlyTheNewestLeaderHasEffects(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		old := r.own.leader
		newer := reconcile.Token{Generation: 1, Index: old.Index + 1}
		ctx := context.Background()
		batch := actors.Batch{Leader: old, Cycle: 1, Rooms: []string{"r"}}

		// A newer leader's batch ends the older leader's batch that is under way.
		r.lk.finish("r")
		r.lk.order(func(string) (bool, error) { return false, nil })
		slow := make(chan error, 1)
		go func() {
			b := batch
			b.Cycle = 2
			_, err := r.host.Survey(ctx, b)
			if err == nil {
				time.Sleep(time.Second)
				b.Permit = &reconcile.Permit{Leader: old, Cycle: 2}
				_, err = r.host.Survey(ctx, b)
			}
			slow <- err
		}()
		time.Sleep(500 * time.Millisecond)
		if _, err := r.host.Survey(ctx, actors.Batch{Leader: newer, Cycle: 1, Rooms: []string{"r"}}); err != nil {
			t.Error(err)
		}
		is(t, <-slow, actors.ErrFenced)
		r.present("r", "a")

		// The view knows of a newer leader.
		r.own.change(func(o *ownership) { o.leader = reconcile.Token{Generation: 2} })
		_, err := r.host.Survey(ctx, actors.Batch{Leader: newer, Cycle: 3, Rooms: []string{"r"}})
		is(t, err, actors.ErrFenced)
		r.present("r", "a")
	})
}

func TestANewerLeaderCancelsTheBatchUnderWay(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a")
		r.faults.next(memstore.Commit, memstore.Fault{Hang: true})
		ctx, old := context.Background(), r.own.leader
		done := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := r.host.Survey(ctx, actors.Batch{Leader: old, Cycle: 1, Rooms: []string{"r"}})
			done <- err
		}()
		synctest.Wait()
		newer := reconcile.Token{Generation: old.Generation, Index: old.Index + 1}
		go func() { _, _ = r.host.Survey(ctx, actors.Batch{Leader: newer, Cycle: 2, Rooms: []string{"r"}}) }()
		is(t, <-done, actors.ErrFenced)
		if time.Since(start) != 0 {
			t.Errorf("it went on for %v", time.Since(start))
		}
		time.Sleep(time.Minute)
	})
}

func TestAStaleLeadersPermitIsRefusedByTheStore(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("r", "b"), r.lk.join("r", "c"))
		ctx, low := context.Background(), r.own.leader
		high := reconcile.Token{Generation: low.Generation, Index: low.Index + 5}
		r.lk.leave("r", "a")
		time.Sleep(settle)
		if _, err := r.sweep.Sync(ctx, high, reconcile.Options{}); err != nil { // removes, so its token is stored
			t.Fatal(err)
		}
		r.present("r", "b", "c")
		// Another node, whose view knows of no newer leader, accepts an older leader's sync.
		if err := r.host.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		fresh := newRig(t, func(c *actors.HostConfig) {
			c.Store, c.Rooms = &memstore.Faulty{Store: r.store, Order: r.faults.of}, r.lk
		})
		r.host = fresh.host
		fresh.sweep.Index, fresh.sweep.Rooms = r.store, r.lk
		r.lk.leave("r", "b")
		report, err := fresh.sweep.Sync(ctx, low, reconcile.Options{})
		if err != nil || report.Errors != 1 {
			t.Errorf("%+v %v", report, err)
		}
		r.present("r", "b", "c")
	})
}

func TestAPlainSyncJoinsAndOthersQueue(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a") // so that a cycle takes its two rounds
		time.Sleep(settle)
		var cycles sync.WaitGroup
		var mu sync.Mutex
		ends := map[string]time.Duration{}
		start := time.Now()
		run := func(name string, o reconcile.Options) {
			cycles.Go(func() {
				report := r.syncNow(o)
				mu.Lock()
				defer mu.Unlock()
				ends[name] = time.Since(start)
				if report.Forced != o.Force || report.DryRun != o.DryRun {
					t.Errorf("%s got another cycle's report: %+v", name, report)
				}
			})
			synctest.Wait()
		}
		run("first", reconcile.Options{Scheduled: true})
		run("joins", reconcile.Options{})
		looks := len(r.lk.looked("r"))
		run("dry", reconcile.Options{DryRun: true})
		run("forced", reconcile.Options{Force: true})
		if n := len(r.lk.looked("r")); n != looks {
			t.Error("a cycle began while another ran")
		}
		cycles.Wait()
		if ends["first"] != ends["joins"] || ends["dry"] < ends["first"] || ends["forced"] < ends["first"] {
			t.Errorf("they ended after %v", ends)
		}
		if n := len(r.lk.looked("r")); n != 4 {
			t.Errorf("%d looks, want 2 of the first and 1 of each that queued", n)
		}
	})
}

func TestAJoinedSyncOutlivesItsStarter(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a")
		time.Sleep(settle)
		ctx, cancel := context.WithCancel(context.Background())
		started, joined := make(chan error, 1), make(chan reconcile.Report, 1)
		go func() {
			_, err := r.sweep.Sync(ctx, r.own.Leader(), reconcile.Options{})
			started <- err
		}()
		synctest.Wait()
		go func() { joined <- r.syncNow(reconcile.Options{Scheduled: true}) }()
		synctest.Wait()
		cancel()
		is(t, <-started, context.Canceled)
		if report := <-joined; report.Synced != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("r", []string{}...)
	})
}

func TestADryRunChangesNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("r", "gone"), r.lk.join("over", "a"), r.lk.join("altered", "a"))
		r.lk.leave("r", "gone")
		r.lk.finish("over")
		r.lk.join("unseen", "a")
		r.store.Set(memstore.Participants, "altered", `["someone"]`)
		rooms := []string{"r", "over", "unseen", "altered"}
		before, feed := r.keys(rooms...), len(r.store.Feed())
		report := r.sync(reconcile.Options{DryRun: true})
		same(t, "a dry run changed the keys", r.keys(rooms...), before)
		if n := len(r.store.Feed()); n != feed {
			t.Errorf("a dry run wrote %d feed entries", n-feed)
		}
		var got []string
		for _, d := range report.Differences {
			got = append(got, fmt.Sprint(d.Room, " ", d.Change, " ", d.Identity))
		}
		slices.Sort(got)
		want := []string{"altered room_snapshot ", "over participant_left a", "over room_finished ", "r participant_left gone",
			"unseen participant_joined a", "unseen room_started "}
		if !slices.Equal(got, want) {
			t.Errorf("differences %q, want %q", got, want)
		}
		if report.Cleaned != 1 || report.Synced != 4 || report.Errors != 0 || report.Drift[reconcile.ForeignChange] != 1 {
			t.Errorf("%+v", report)
		}
		r.sync(reconcile.Options{})
		r.present("r", "a")
		r.present("over")
		r.present("unseen", "a")
		r.present("altered", "a")
	})
}

// A dry run finds what Redis has lost and leaves it as it is. Not even a poll, for which a lost record usually asks, writes it again.
func TestADryRunLeavesWhatIsLost(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		time.Sleep(10 * time.Second)
		r.store.Flush()
		r.store.Set(memstore.States, "stranger", `{"roomName":"stranger"}`)
		r.lk.join("stranger", "b")
		before := r.keys("r", "stranger")
		for range 2 {
			report := r.sync(reconcile.Options{DryRun: true})
			var rooms []string
			for _, d := range report.Differences {
				rooms = append(rooms, d.Room)
			}
			if report.Errors != 0 || !slices.Contains(rooms, "r") || !slices.Contains(rooms, "stranger") {
				t.Errorf("%+v", report)
			}
			time.Sleep(10 * time.Second)
			same(t, "a dry run changed the keys", r.keys("r", "stranger"), before)
		}
		if n := len(r.store.Feed()); n != 0 {
			t.Errorf("a dry run wrote %d feed entries", n)
		}
		r.sync(reconcile.Options{})
		r.present("r", "a")
		r.present("stranger", "b")
	})
}

func TestFullSync(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lk.join("r", "a")
		orphan(r, "orphan")
		synced, cleaned, err := r.sweep.FullSync(context.Background(), r.own.Leader(), reconcile.Options{})
		if err != nil || synced.Synced != 2 || cleaned.Cleaned != 1 || synced.Errors+cleaned.Errors != 0 {
			t.Errorf("%+v\n%+v\n%v", synced, cleaned, err)
		}
		r.present("r", "a")
		if names, _ := r.store.Index(context.Background()); !slices.Equal(names, []string{"r"}) {
			t.Errorf("the index holds %q", names)
		}
	})
}

// orphan leaves a room in the index whose keys are gone.
func orphan(r *rig, room string) {
	r.must(r.lk.join(room, "a"))
	r.must(r.lk.finish(room)...)
	enlist(r, room)
}

// enlist puts a room without keys into the index: its key appears, Reindex finds it, and it vanishes.
func enlist(r *rig, room string) {
	r.store.Set(memstore.States, room, "x")
	if err := r.store.Reindex(context.Background(), 0); err != nil {
		r.Error(err)
	}
	r.store.Delete(memstore.States, room)
}

func TestCleanup(t *testing.T) {
	bubble(t, func(r *rig) {
		ctx := context.Background()
		cleanup := func(o reconcile.Options) reconcile.Report {
			report, err := r.sweep.Cleanup(ctx, r.own.Leader(), o)
			if err != nil {
				t.Fatal(err)
			}
			return report
		}
		kept := 0
		r.sweep.Housekeeping = func(context.Context) error { kept++; return nil }
		r.must(r.lk.join("fresh", "a"), r.lk.join("gone", "a"), r.lk.join("still", "a"))
		r.sync(reconcile.Options{})
		orphan(r, "orphan")
		r.lk.finish("gone")

		dry := cleanup(reconcile.Options{DryRun: true})
		if dry.Cleaned != 1 || len(dry.Differences) != 1 || dry.Differences[0].Room != "orphan" || kept != 0 {
			t.Errorf("dry: %+v", dry)
		}
		if report := cleanup(reconcile.Options{}); report.Cleaned != 1 || report.Errors != 0 || kept != 1 {
			t.Errorf("%+v", report)
		}
		r.present("gone", "a") // it was confirmed a moment ago

		time.Sleep(29 * time.Minute)
		r.must(r.lk.join("fresh", "b"))
		cleanup(reconcile.Options{})
		r.present("gone", "a")
		time.Sleep(2 * time.Minute)
		r.lk.order(func(room string) (bool, error) { return false, errReset }) // an outage confirms nothing
		if report := cleanup(reconcile.Options{}); report.Cleaned != 0 || report.Errors != 3 {
			t.Errorf("%+v", report)
		}
		r.lk.order(nil)
		report := cleanup(reconcile.Options{})
		if report.Cleaned != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("gone")
		r.present("still", "a")
		r.present("fresh", "a", "b")
		if last := r.store.Feed()[len(r.store.Feed())-1]; last["cause"] != "cleanup" {
			t.Errorf("the last cause is %q", last["cause"])
		}
	})
}

func TestCleanupIsUnderTheBreaker(t *testing.T) {
	bubble(t, func(r *rig) {
		rooms := crowd(r, 20)
		for _, room := range rooms {
			r.lk.finish(room)
		}
		for range 4 {
			time.Sleep(time.Hour)
			report, err := r.sweep.Cleanup(context.Background(), r.own.Leader(), reconcile.Options{Scheduled: true}) // as the leader's task does
			if err != nil || report.Cleaned != 0 || report.Held == nil || report.Held.Rooms != 20 || report.Held.Cycles != 0 {
				t.Errorf("%+v %v", report, err)
			}
		}
		r.present("room0", "a")
	})
}

func TestCleanupOfAnOlderLeader(t *testing.T) {
	bubble(t, func(r *rig) {
		orphan(r, "orphan")
		old := r.own.leader
		r.own.change(func(o *ownership) { o.leader.Index++ })
		report, err := r.sweep.Cleanup(context.Background(), old, reconcile.Options{})
		if err != nil || report.Cleaned != 0 || report.Errors != 1 {
			t.Errorf("%+v %v", report, err)
		}
		if names, _ := r.store.Index(context.Background()); len(names) != 1 {
			t.Errorf("the index holds %q", names)
		}
	})
}

func TestASyncAwayFromTheIndexHasNoEffect(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a")
		r.sweep.Index = broken{}
		if report := r.sync(reconcile.Options{}); report.Errors != 1 || report.Synced != 0 {
			t.Errorf("%+v", report)
		}
		r.present("r", "a")
	})
}

type broken struct{}

func (broken) Rooms(context.Context, string, int, string) ([]string, string, error) {
	return nil, "", errReset
}

// TestTheSettlingTime runs cycles on lists that lag behind the webhooks, in either direction.
func TestTheSettlingTime(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "ada"), r.lk.join("r", "bo"))
		time.Sleep(settle)
		r.sync(reconcile.Options{})
		stale := r.lk.rooms["r"].people
		r.must(r.lk.join("r", "new"), r.lk.leave("r", "bo"))
		now := r.lk.rooms["r"].people
		r.lk.rooms["r"].people = stale
		feed := len(r.store.Feed())
		report := r.syncNow(reconcile.Options{Scheduled: true})
		r.present("r", "ada", "new")
		if n := len(r.store.Feed()); report.Deferred != 2 || report.Changed != 0 || report.DurationMs != 0 || n != feed {
			t.Errorf("%+v, %d entries in the feed, want two deferred, one look and none new", report, n-feed)
		}
		r.lk.rooms["r"].people = now
		if report := r.sync(reconcile.Options{Scheduled: true}); report.Deferred != 0 || report.Changed != 0 {
			t.Errorf("after the lag: %+v", report)
		}
		r.present("r", "ada", "new")
	})
}

// TestTheSettlingTimeUnderANewClaim checks that what webhooks reported to the old owner is protected until the lag is over.
func TestTheSettlingTimeUnderANewClaim(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "ada"), r.lk.join("r", "bo"), r.lk.join("over", "cy"))
		r.lk.leave("r", "bo") // without a webhook
		r.lk.finish("over")
		r.lk.join("r", "new")
		r.own.change(func(o *ownership) { o.claim.Epoch, o.claim.Incarnation = 7, 6 })
		report := r.syncNow(reconcile.Options{Scheduled: true})
		r.present("r", "ada", "bo", "new")
		r.present("over", "cy")
		if report.Deferred != 3 || report.Cleaned != 0 {
			t.Errorf("%+v, want three deferred", report)
		}
		r.sync(reconcile.Options{Scheduled: true})
		r.present("r", "ada", "new")
		r.present("over")
	})
}

// TestTheBreakerCountsWhatIsDeferred has fifteen of twenty participants missing, five of them because they have just joined.
func TestTheBreakerCountsWhatIsDeferred(t *testing.T) {
	bubble(t, func(r *rig) {
		for i := range 15 {
			r.must(r.lk.join("r", fmt.Sprintf("p%02d", i)))
		}
		time.Sleep(settle)
		for i := range 5 {
			r.must(r.lk.join("r", fmt.Sprintf("q%02d", i)))
		}
		shown := r.lk.rooms["r"].people[:5]
		r.lk.rooms["r"].people = shown
		report := r.syncNow(reconcile.Options{Scheduled: true})
		if report.Held == nil || report.Held.Participants != 15 || report.Deferred != 5 {
			t.Errorf("%+v, held %+v; want fifteen held, five of them deferred", report, report.Held)
		}
		report = r.syncNow(reconcile.Options{Scheduled: true, Force: true})
		if report.Held != nil || report.Drift[reconcile.MissedLeave] != 10 || report.Deferred != 5 {
			t.Errorf("forced: %+v; want ten gone and five deferred", report)
		}
	})
}
