package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcallhq/rollcall/reconcile"
)

// anyCommand draws commands from few ids, indexes and generations, so that they often concern the same ones.
func anyCommand(t *rapid.T, s State) Command {
	id := rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "id")
	switch rapid.IntRange(0, 8).Draw(t, "op") {
	case 0:
		return Found{Generation: rapid.Uint64Range(0, 9).Draw(t, "generation")}
	case 1:
		return ClaimLeadership{ID: id}
	case 2, 3:
		return Join{ID: id, NodeAddr: id + ":7000", HashVersion: rapid.IntRange(0, 2).Draw(t, "hash")}
	case 4:
		m, _ := s.View.Member(id)
		return Leave{ID: id, Incarnation: m.Incarnation - rapid.Uint64Range(0, 1).Draw(t, "late")}
	case 5:
		return SetService{Running: rapid.Bool().Draw(t, "running")}
	case 6:
		return Remove{ID: id}
	case 7:
		return CountCycle(s.Token(), Count{At: rapid.Int64Range(0, 100).Draw(t, "at"), Spacing: rapid.Int64Range(0, 30).Draw(t, "spacing")})
	default:
		token := s.Token()
		token.Index -= rapid.Uint64Range(0, 1).Draw(t, "stale")
		kind := rapid.SampledFrom([]Kind{KindSync, KindCleanup, "other"}).Draw(t, "kind")
		return RecordReport{Kind: kind, Token: token, JSON: json.RawMessage(`{"rooms":` + fmt.Sprint(s.Applied) + `}`)}
	}
}

func written(t rapid.TB, s State) []byte {
	var b bytes.Buffer
	if err := WriteSnapshot(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSnapshotAndTailEqualsWholeLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, resumed := State{}, State{}
		n := rapid.IntRange(1, 60).Draw(t, "n")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		index := uint64(0)
		for i := range n {
			index += rapid.Uint64Range(1, 3).Draw(t, "step")
			cmd := anyCommand(t, whole)
			data, err := Encode(cmd)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if i == cut {
				if resumed, err = ReadSnapshot(bytes.NewReader(written(t, resumed))); err != nil {
					t.Fatal(err)
				}
			}
			before := written(t, whole)
			next, first := whole.Apply(index, cmd)
			if !bytes.Equal(before, written(t, whole)) {
				t.Fatalf("%#v changed the state before it", cmd)
			}
			var second Result
			whole = next
			if resumed, second = resumed.Apply(index, again); first != second {
				t.Fatalf("%#v: %+v on the whole log, %+v on the snapshot", cmd, first, second)
			}
		}
		if a, b := written(t, whole), written(t, resumed); !bytes.Equal(a, b) {
			t.Fatalf("whole log:\n%s\nsnapshot and tail:\n%s", a, b)
		}
	})
}

// checkStep checks what must hold for every step.
func checkStep(t *rapid.T, before, after State, cmd Command, res Result, index uint64) {
	if res.Refused != "" {
		rest := after
		rest.Applied = before.Applied
		if !bytes.Equal(written(t, before), written(t, rest)) {
			t.Fatalf("refused %#v changed the state", cmd)
		}
		return
	}
	if after.Generation < before.Generation {
		t.Fatalf("generation went from %d to %d", before.Generation, after.Generation)
	}
	if after.Token().Compare(before.Token()) < 0 {
		t.Fatalf("token fell from %+v to %+v", before.Token(), after.Token())
	}
	switch c := cmd.(type) {
	case Join:
		m, ok := after.View.Member(c.ID)
		old, _ := before.View.Member(c.ID)
		if !ok || m.Incarnation != index || m.Incarnation <= old.Incarnation || after.View.Epoch <= before.View.Epoch {
			t.Fatalf("join at %d gave %+v in epoch %d, after %+v in epoch %d", index, m, after.View.Epoch, old, before.View.Epoch)
		}
	case Leave:
		if _, ok := after.View.Member(c.ID); ok || after.View.Epoch <= before.View.Epoch {
			t.Fatalf("leave kept the member, or epoch %d", after.View.Epoch)
		}
	case Remove:
		_, was := before.View.Member(c.ID)
		if _, ok := after.View.Member(c.ID); ok || (after.View.Epoch > before.View.Epoch) != was || after.Removed[c.ID] != index {
			t.Fatalf("remove at %d of a member (%v): epoch %d, removed %v", index, was, after.View.Epoch, after.Removed)
		}
	default:
		if after.View.Epoch != before.View.Epoch {
			t.Fatalf("%#v changed the view", cmd)
		}
	}
}

func TestIncarnationsEpochsAndTokensOnlyRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{}
		for index := uint64(1); index <= 80; index++ {
			cmd := anyCommand(t, s)
			next, res := s.Apply(index, cmd)
			checkStep(t, s, next, cmd, res, index)
			s = next
			for i, m := range s.View.Members {
				if i > 0 && s.View.Members[i-1].ID >= m.ID {
					t.Fatalf("members are not sorted: %+v", s.View.Members)
				}
				if m.HashVersion < s.View.HashVersion || m.Incarnation > s.View.Epoch {
					t.Fatalf("view %+v does not fit its member %+v", s.View, m)
				}
			}
		}
	})
}

func run(t *testing.T, s State, steps ...Command) (State, Result) {
	t.Helper()
	var res Result
	for _, cmd := range steps {
		s, res = s.Apply(s.Applied+1, cmd)
	}
	return s, res
}

func TestRefusals(t *testing.T) {
	founded, _ := run(t, State{}, ClaimLeadership{ID: "n1"}, Found{Generation: 7}, Join{ID: "n1", HashVersion: 1})
	now := founded.Token()
	counted, _ := run(t, founded, CountCycle(now, Count{At: 100}))
	old := reconcile.Token{Generation: 7}
	report := func(token reconcile.Token, size int) RecordReport {
		return RecordReport{Kind: KindSync, Token: token, JSON: json.RawMessage(strings.Repeat("1", size))}
	}
	tests := []struct {
		name string
		from State
		cmd  Command
		want error
	}{
		{"the same generation", founded, Found{Generation: 7}, AlreadyFounded},
		{"an earlier generation", founded, Found{Generation: 6}, AlreadyFounded},
		{"a later generation", founded, Found{Generation: 8}, nil},
		{"generation 0", State{}, Found{}, Invalid},
		{"join before the generation", State{}, Join{ID: "n1", HashVersion: 1}, NotFounded},
		{"join without a hash", founded, Join{ID: "n1"}, Invalid},
		{"claim of nobody", founded, ClaimLeadership{}, Invalid},
		{"leave of another incarnation", founded, Leave{ID: "n1", Incarnation: 2}, NotMember},
		{"leave of a stranger", founded, Leave{ID: "n2", Incarnation: 3}, NotMember},
		{"report of the leader", founded, report(now, MaxReportBytes), nil},
		{"report of an older leader", founded, report(old, 1), StaleToken},
		{"large report", founded, report(now, MaxReportBytes+1), TooLarge},
		{"empty report", founded, report(now, 0), Invalid},
		{"a cycle counts", founded, CountCycle(now, Count{At: 50, Spacing: 30}), nil},
		{"a cycle of an older leader", founded, CountCycle(old, Count{At: 50, Spacing: 30}), StaleToken},
		{"a cycle without a time", founded, CountCycle(now, Count{}), Invalid},
		{"a cycle too soon", counted, CountCycle(now, Count{At: 129, Spacing: 30}), TooSoon},
		{"a cycle in time", counted, CountCycle(now, Count{At: 130, Spacing: 30}), nil},
		{"a cycle by a clock that is behind", counted, CountCycle(now, Count{At: 71, Spacing: 30}), TooSoon},
		{"a cycle by a clock that is far behind", counted, CountCycle(now, Count{At: 70, Spacing: 30}), nil},
		{"unknown report", founded, RecordReport{Kind: "x", Token: now, JSON: json.RawMessage("1")}, Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, res := run(t, tt.from, tt.cmd); !errors.Is(res.Err(), tt.want) {
				t.Fatalf("got %v, want %v", res.Err(), tt.want)
			}
		})
	}
	if _, res := founded.Apply(founded.Applied, SetService{}); res.Err() != OutOfOrder {
		t.Fatalf("an entry applied twice: %v", res.Err())
	}
}

func TestCloneSharesNothing(t *testing.T) {
	s, _ := run(t, State{}, ClaimLeadership{ID: "n1"}, Found{Generation: 7}, Join{ID: "n1", HashVersion: 1}, Join{ID: "n2", HashVersion: 1})
	s, _ = run(t, s, RecordReport{Kind: KindSync, Token: s.Token(), JSON: json.RawMessage("12")})
	before := written(t, s)
	c := s.Clone()
	c.View.Members[0].ID = "x"
	c.Past[0].Epoch = 99
	c.Reports[KindSync].JSON[0] = '9'
	c.Reports[KindCleanup] = Report{}
	if !bytes.Equal(before, written(t, s)) {
		t.Fatal("a change of the clone reached the state")
	}
}
