package fsm

import (
	"fmt"
	"testing"
)

const rooms = 20_000

func viewOf(ids ...string) View {
	v := View{Epoch: 1, HashVersion: 1}
	for _, id := range ids {
		v.Members = append(v.Members, Member{ID: id, HashVersion: 1})
	}
	return v
}

func owners(t *testing.T, v View) []string {
	t.Helper()
	out := make([]string, rooms)
	for i := range out {
		m, ok := Owner(v, fmt.Sprintf("room-%d", i))
		if !ok {
			t.Fatal("no owner")
		}
		out[i] = m.ID
	}
	return out
}

func TestOwnerBalance(t *testing.T) {
	for n := 1; n <= 9; n++ {
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprintf("n%d", i+1))
		}
		count := map[string]int{}
		for _, id := range owners(t, viewOf(ids...)) {
			count[id]++
		}
		for _, id := range ids {
			if even := rooms / n; count[id] < even*9/10 || count[id] > even*11/10 {
				t.Errorf("%d members: %s owns %d of %d rooms", n, id, count[id], rooms)
			}
		}
	}
}

func TestOwnerMovesOnlyWhatItMust(t *testing.T) {
	three, four := owners(t, viewOf("n1", "n2", "n3")), owners(t, viewOf("n1", "n2", "n3", "n4"))
	moved := 0
	for i := range three {
		if three[i] == four[i] {
			continue
		}
		moved++
		if four[i] != "n4" {
			t.Fatalf("room %d went from %s to %s when n4 came", i, three[i], four[i])
		}
	}
	if moved < rooms/5 || moved > rooms*3/10 {
		t.Errorf("n4 took %d of %d rooms", moved, rooms)
	}
}

// The answers of version 1 must never change: a build that answers otherwise would be a second owner.
func TestOwnerVersion1IsPinned(t *testing.T) {
	v := viewOf("a", "b", "c")
	want := map[string]string{"": "c", "\x00\n{*}\"": "b", "room-1": "a", "room-2": "b", "room-3": "a", "комната": "b"}
	for room, id := range want {
		if m, _ := Owner(v, room); m.ID != id {
			t.Errorf("%q is owned by %s, not by %s", room, m.ID, id)
		}
	}
}

func TestOwnerRefusesWhatItDoesNotKnow(t *testing.T) {
	if _, ok := Owner(View{HashVersion: 1}, "room"); ok {
		t.Error("an empty view has an owner")
	}
	v := viewOf("a")
	v.HashVersion = HashVersion + 1
	if _, ok := Owner(v, "room"); ok {
		t.Error("an unknown hash gave an owner")
	}
	v = viewOf("a")
	v.Members[0].Incarnation = 9
	if m, _ := Owner(v, "room"); m.Incarnation != 9 {
		t.Error("the owner is not the view's member")
	}
}

func BenchmarkOwner(b *testing.B) {
	v := viewOf("node-1", "node-2", "node-3", "node-4", "node-5")
	for b.Loop() {
		Owner(v, "a-room-with-a-usual-name")
	}
}
