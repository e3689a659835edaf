package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The check value is that of the cluster specification; the ranges are those of masters after a resharding.
func TestSlots(t *testing.T) {
	if got := tagSlot("123456789"); got != 0x31c3 {
		t.Errorf("slot %d", got)
	}
	s := keyIn([]redis.ClusterSlot{{Start: 9000, End: 9002, Nodes: []redis.ClusterNode{{Addr: "a:1"}}}, {Start: 7, End: 7}})
	var tag string
	for i := len("rooms:health:{"); s.key[i] != '}'; i++ {
		tag += s.key[i : i+1]
	}
	if slot := tagSlot(tag); s.slot != 7 || s.addr != "a:1" || slot != 7 && (slot < 9000 || slot > 9002) {
		t.Errorf("%+v has its key in slot %d", s, slot)
	}
}

// A result says nothing after a pause of this process, and a try without an answer is slow.
func TestOldAndSlowTries(t *testing.T) {
	now := time.Now()
	h := &Health{shards: map[int]*watched{
		0: {master: master{slot: 0}, ended: now},
		1: {master: master{slot: 1}, ended: now.Add(-oldAfter - time.Second)},
		2: {master: master{slot: 2}, ended: now, began: now.Add(-slowAfter - time.Second)},
	}}
	all := h.Shards()
	if all[0].Failing() != nil {
		t.Errorf("a new result: %v", all[0].Failing())
	}
	if !errors.Is(all[1].Err, errOld) {
		t.Errorf("an old result: %v", all[1].Err)
	}
	if all[2].Err != nil || !errors.Is(all[2].Failing(), errSlow) {
		t.Errorf("a slow try: %v, %v", all[2].Err, all[2].Failing())
	}
}
