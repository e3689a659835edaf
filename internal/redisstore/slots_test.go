package redisstore

import (
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestTheIndexOfARoomIsInItsSlot asks Redis whether the index key hashes to the slot of the room's own keys.
func TestTheIndexOfARoomIsInItsSlot(t *testing.T) {
	c := redistest.Start(t, "--cluster-enabled", "yes").Client()
	k := keys{prefix: DefaultPrefix, tags: true, slots: slotTags()}
	slot := func(key string) int64 {
		t.Helper()
		n, err := c.ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, room := range []string{"room-123", "", "}", "}}x", "{", "{}", "{a}", "a{b}c", "a}b", "%", "%7D", "\x00", "日本語"} {
		if got, want := slot(k.index(room)), slot(k.states(room)); got != want {
			t.Errorf("room %q: its index %q is in slot %d, its keys in %d", room, k.index(room), got, want)
		}
	}
	for _, n := range []int{0, 1, 5460, 5461, 8191, 16383} {
		if got := slot(k.indexOf(n)); got != int64(n) {
			t.Errorf("the index %q of slot %d is in slot %d", k.indexOf(n), n, got)
		}
	}
	seen := map[string]bool{}
	for n, tag := range k.slots {
		if tag == "" || seen[tag] || slotOf("{"+tag+"}") != n {
			t.Fatalf("slot %d has the tag %q", n, tag)
		}
		seen[tag] = true
	}
	// Key names must never change: nodes of several versions share them.
	if k.indexOf(0) != "rooms:index:{3560}" || k.index("room-123") != "rooms:index:{42762}" {
		t.Errorf("the index of slot 0 is %s, that of room-123 %s", k.indexOf(0), k.index("room-123"))
	}
	if one := (keys{prefix: DefaultPrefix, tags: true}).index("a"); one != "rooms:index" {
		t.Errorf("on one Redis the index is %q", one)
	}
}

// TestSlotsAreThoseOfTheSpecification uses the check value of CRC-16/XMODEM that the Redis Cluster specification gives.
func TestSlotsAreThoseOfTheSpecification(t *testing.T) {
	if got := slotOf("123456789"); got != 0x31c3 {
		t.Errorf("slot %#x, want 0x31c3", got)
	}
}
