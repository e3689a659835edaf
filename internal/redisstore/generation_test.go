package redisstore_test

import (
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestEpochsOfGenerations checks that each generation has its own highest epoch, which only rises, whatever others wrote to its key.
func TestEpochsOfGenerations(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	c.SAdd(ctx, "rooms:epoch:8", "foreign")
	c.Set(ctx, "rooms:epoch:9", "none", 0)
	for _, raise := range [][2]uint64{{7, 12}, {7, 9}, {8, 3}, {9, 4}} {
		if err := s.RaiseEpoch(ctx, raise[0], raise[1]); err != nil {
			t.Error(err)
		}
	}
	for generation, want := range map[uint64]uint64{6: 0, 7: 12, 8: 3, 9: 4} {
		if epoch, err := s.Epoch(ctx, generation); epoch != want || err != nil {
			t.Errorf("epoch %d of generation %d, want %d: %v", epoch, generation, want, err)
		}
	}
}

func TestTheClaimOnARoom(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	claimed(t, s, "a")
	c.Set(ctx, "rooms:fence:b", "foreign", 0)
	for room, want := range map[string][2]uint64{"a": {own.Generation, own.Epoch}, "b": {}, "none": {}} {
		if c, err := s.Claimed(ctx, room); [2]uint64{c.Generation, c.Epoch} != want || err != nil {
			t.Errorf("room %s: %+v, want %v: %v", room, c, want, err)
		}
	}
}
