package redisstore

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// The check value is that of the cluster specification; the ranges are those of masters after a resharding.
func TestSlots(t *testing.T) {
	if got := slotOf("123456789"); got != 0x31c3 {
		t.Errorf("slot %d", got)
	}
	s := keyIn([]redis.ClusterSlot{{Start: 9000, End: 9002, Nodes: []redis.ClusterNode{{Addr: "a:1"}}}, {Start: 7, End: 7}})
	var tag string
	for i := len("rooms:health:{"); s.key[i] != '}'; i++ {
		tag += s.key[i : i+1]
	}
	if slot := slotOf(tag); s.slot != 7 || s.addr != "a:1" || slot != 7 && (slot < 9000 || slot > 9002) {
		t.Errorf("%+v has its key in slot %d", s, slot)
	}
}
