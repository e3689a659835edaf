package memstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	"github.com/rollcallhq/rollcall/testing/harness/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Rig { return storetest.Memory() })
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault memstore.Fault
		s := &memstore.Faulty{Store: memstore.New(memstore.Options{}), Order: func(memstore.Op, string) memstore.Fault { return fault }}
		own := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
		boom := errors.New("boom")
		version := func() uint64 {
			rec, err := s.Store.Claim(t.Context(), "a", own)
			if err != nil {
				t.Fatal(err)
			}
			return rec.Version
		}
		commit := func(expect uint64, f memstore.Fault) (time.Duration, error) {
			fault = f
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			began := time.Now()
			_, err := s.Commit(ctx, reconcile.Commit{Room: "a", Claim: own, Expect: expect, Version: expect + 1})
			return time.Since(began), err
		}
		version()
		for _, step := range []struct {
			fault memstore.Fault
			want  error
			took  time.Duration
			moved bool
		}{
			{memstore.Fault{}, nil, 0, true},
			{memstore.Fault{Err: boom}, boom, 0, false},
			{memstore.Fault{Err: boom, Late: true}, boom, 0, true},
			{memstore.Fault{Delay: time.Second}, nil, time.Second, true},
			{memstore.Fault{Delay: time.Minute}, context.DeadlineExceeded, 5 * time.Second, false},
			{memstore.Fault{Hang: true}, context.DeadlineExceeded, 5 * time.Second, false},
			{memstore.Fault{Hang: true, Late: true}, context.DeadlineExceeded, 5 * time.Second, true},
		} {
			before := version()
			took, err := commit(before, step.fault)
			if !errors.Is(err, step.want) || took != step.took || (version() > before) != step.moved {
				t.Errorf("%+v: %v after %v, moved: %v", step.fault, err, took, version() > before)
			}
		}
	})
}

func TestOps(t *testing.T) {
	var ops []memstore.Op
	boom := errors.New("boom")
	s := &memstore.Faulty{Store: memstore.New(memstore.Options{}), Order: func(op memstore.Op, _ string) memstore.Fault {
		ops = append(ops, op)
		return memstore.Fault{Err: boom}
	}}
	ctx := t.Context()
	_, claimed := s.Claim(ctx, "a", reconcile.Claim{})
	_, indexed := s.Index(ctx)
	for _, err := range []error{claimed, indexed, s.Delist(ctx, "a", reconcile.Claim{}, reconcile.Token{}), s.RaiseGeneration(ctx, 1)} {
		if !errors.Is(err, boom) {
			t.Error(err)
		}
	}
	if want := []memstore.Op{memstore.Claim, memstore.Index, memstore.Delist, memstore.RaiseGeneration}; !slices.Equal(ops, want) {
		t.Errorf("ops: %v", ops)
	}
}
