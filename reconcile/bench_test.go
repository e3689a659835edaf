package reconcile

import (
	"fmt"
	"runtime"
	"testing"
)

// crowd returns a rig with n participants present, and these participants as a look shows them.
func crowd(t testing.TB, n int) (*rig, []Participant) {
	r := newRig(t)
	r.strict = false
	people := make([]Participant, n)
	for i := range people {
		people[i] = Participant{Identity: fmt.Sprintf("user-%d", i), SID: fmt.Sprintf("PA_%08d", i), JoinedAt: at(2000 + int64(i)),
			Name: "Somebody", Metadata: `{"role":"guest"}`, Attributes: map[string]string{"k": "v"}, Version: 2}
	}
	r.do(r.sight(&r1, people...))
	if len(r.room.State.Roster) != n {
		t.Fatalf("%d are present", len(r.room.State.Roster))
	}
	return r, people
}

func BenchmarkStep(b *testing.B) {
	for _, n := range []int{4, 1000, 10000} {
		r, people := crowd(b, n)
		empty := newRig(b)
		r.wait(second)
		steps := map[string]struct {
			room *rig
			in   Input
		}{
			"a join":                    {r, joined(r1, who("zz", 900_000))},
			"a leave":                   {r, left(r1, people[n/2])},
			"a finish":                  {r, finished(r1, 9_000_000)},
			"a look that finds nothing": {r, r.sight(&r1, people...)},
			"a look at a new room":      {empty, empty.sight(&r1, people...)},
			"a look that misses all":    {r, r.sight(&r1)},
			"the state's JSON":          {r, nil},
		}
		for name, s := range steps {
			b.Run(fmt.Sprintf("%s of %d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if s.in == nil {
						s.room.room.State.JSON("r")
						continue
					}
					Step(s.room.room, s.in, s.room.now)
				}
			})
		}
	}
}

// A join copies the list of pointers and encodes one participant, whatever the size of the room.
func TestJoinInABigRoomEncodesOneParticipant(t *testing.T) {
	r, people := crowd(t, 1000)
	join := joined(r1, who("zz", 900_000))
	if n := testing.AllocsPerRun(10, func() { Step(r.room, join, r.now) }); n > 40 {
		t.Errorf("a join allocates %v times", n)
	}
	look := r.sight(&r1, people...)
	if n := testing.AllocsPerRun(10, func() { Step(r.room, look, r.now) }); n > 60 {
		t.Errorf("a look that finds nothing allocates %v times", n)
	}
	fresh := newRig(t)
	few := testing.AllocsPerRun(2, func() { Step(fresh.room, fresh.sight(&r1, people[:250]...), fresh.now) })
	many := testing.AllocsPerRun(2, func() { Step(fresh.room, fresh.sight(&r1, people...), fresh.now) })
	if many > 5*few {
		t.Errorf("a look at 250 new participants allocates %v times, at 1,000 %v times", few, many)
	}
}

// Nearly every look of a sync finds what is stored.
func TestALookThatFindsWhatIsStoredAllocatesLittle(t *testing.T) {
	r, people := crowd(t, 4)
	look := r.sight(&r1, people...)
	if n := testing.AllocsPerRun(10, func() { Step(r.room, look, r.now) }); n > 8 {
		t.Errorf("the look allocates %v times", n)
	}
}

func TestIdleRoomIsSmall(t *testing.T) {
	const n = 2000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, idle := heap(), make([]*Room, n)
	for i := range idle {
		idle[i], _ = Load(nil, Record{Room: "room", Claim: Claim{1, 1, 1}, Instance: Instance{SID: "RM_x", CreatedMs: 1, FinishedAt: 1}}, 0)
	}
	each := (heap() - before) / n
	runtime.KeepAlive(idle)
	t.Logf("%d bytes each", each)
	if each > 1024 {
		t.Errorf("an idle room takes %d bytes", each)
	}
}
