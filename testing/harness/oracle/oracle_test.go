package oracle

import (
	"maps"
	"slices"
	"testing"
)

// TestDifferences checks which rooms differ, and that versions count only when they are compared exactly.
func TestDifferences(t *testing.T) {
	t.Parallel()
	room := func(version uint32, sid string) View {
		return View{SID: sid, Roster: []Member{{SID: "PA_1", Version: version}}}
	}
	livekit := map[string]View{"equal": room(1, "RM_1"), "raised": room(2, "RM_1"), "replaced": room(1, "RM_2"), "missing": room(1, "RM_1")}
	redis := map[string]View{"equal": room(1, "RM_1"), "raised": room(1, "RM_1"), "replaced": room(1, "RM_1"), "ghost": room(1, "RM_1")}
	for exactly, want := range map[bool][]string{false: {"ghost", "missing", "replaced"}, true: {"ghost", "missing", "raised", "replaced"}} {
		if got := slices.Sorted(maps.Keys(Differences(livekit, redis, exactly))); !slices.Equal(got, want) {
			t.Errorf("exactly %t: %q, want %q", exactly, got, want)
		}
	}
	if Agree(livekit, redis, false) == nil || Agree(livekit, livekit, true) != nil {
		t.Error("Agree contradicts Differences")
	}
}
