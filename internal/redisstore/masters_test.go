package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestAMasterIsNamedByItsLowestSlot uses the ranges of a master after a resharding.
func TestAMasterIsNamedByItsLowestSlot(t *testing.T) {
	s := &Store{keys: keys{tags: true, slots: slotTags()}}
	one := s.masterIn([]redis.ClusterSlot{{Start: 9000, End: 9002, Nodes: []redis.ClusterNode{{Addr: "a:1"}}}, {Start: 7, End: 7}})
	if one.slot != 7 || one.addr != "a:1" || slotOf(one.key) != 7 {
		t.Errorf("%+v has its key in slot %d", one, slotOf(one.key))
	}
}

// TestOldAndSlowTries checks that a result is no longer valid after a pause of this process, and that a check without an answer is slow.
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
