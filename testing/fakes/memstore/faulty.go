package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Op names a method of the store port.
type Op string

// The methods that can be made to fail.
const (
	Claim           Op = "claim"
	Commit          Op = "commit"
	Delist          Op = "delist"
	Index           Op = "index"
	RaiseGeneration Op = "raise generation"
	Ping            Op = "ping"
)

// Fault describes what happens to one call. The zero Fault changes nothing.
type Fault struct {
	Delay time.Duration // before the call
	Hang  bool          // no answer until the caller's context ends; the call is not made, unless Late
	Err   error         // the answer; the call is not made, unless Late
	Late  bool          // with Err or Hang: the call is made all the same, and its result is lost
	// Without applies to Index: the rooms that are missing, with a reconcile.ErrIncomplete, because their shard does not answer.
	Without func(room string) bool
}

// Faulty is a Store whose calls fail as a test decides. To lose data, use Store.Flush.
type Faulty struct {
	*Store
	// Order returns each call's fault. room is "" for a call that concerns no room. Order must be safe for concurrent use.
	Order func(op Op, room string) Fault
}

// Claim claims a room, or fails as Order decides.
func (f *Faulty) Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	return faulty(ctx, f.Order(Claim, room), func(ctx context.Context) (reconcile.Record, error) {
		return f.Store.Claim(ctx, room, c)
	})
}

// Commit commits a plan, or fails as Order decides.
func (f *Faulty) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	return faulty(ctx, f.Order(Commit, c.Room), func(ctx context.Context) (reconcile.Receipt, error) {
		return f.Store.Commit(ctx, c)
	})
}

// Delist removes a room from the index, or fails as Order decides.
func (f *Faulty) Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error {
	return faultyCall(ctx, f.Order(Delist, room), func(ctx context.Context) error { return f.Store.Delist(ctx, room, c, leader) })
}

// Index returns the index, or fails as Order decides.
func (f *Faulty) Index(ctx context.Context) ([]string, error) {
	return faulty(ctx, f.Order(Index, ""), f.Store.Index)
}

// Rooms returns a page of the index, or fails as Order decides.
func (f *Faulty) Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	fault := f.Order(Index, "")
	err = faultyCall(ctx, fault, func(ctx context.Context) (err error) {
		names, next, err = f.Store.Rooms(ctx, cursor, limit, search)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if fault.Without != nil {
		return slices.DeleteFunc(names, fault.Without), next, reconcile.ErrIncomplete
	}
	return names, next, nil
}

// Ping pings, or fails as Order decides.
func (f *Faulty) Ping(ctx context.Context) error {
	return faultyCall(ctx, f.Order(Ping, ""), f.Store.Ping)
}

// RaiseGeneration raises the generation, or fails as Order decides.
func (f *Faulty) RaiseGeneration(ctx context.Context, g uint64) error {
	return faultyCall(ctx, f.Order(RaiseGeneration, ""), func(ctx context.Context) error { return f.Store.RaiseGeneration(ctx, g) })
}

// faultyCall is faulty for a call that is answered with nothing but an error.
func faultyCall(ctx context.Context, f Fault, call func(context.Context) error) error {
	_, err := faulty(ctx, f, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

func faulty[T any](ctx context.Context, f Fault, call func(context.Context) (T, error)) (T, error) {
	var none T
	if f.Delay > 0 && wait.For(ctx, f.Delay) != nil {
		return none, ctx.Err()
	}
	if !f.Hang && f.Err == nil {
		return call(ctx)
	}
	if f.Late {
		// A sent request arrives whether or not its sender still waits.
		_, _ = call(context.WithoutCancel(ctx))
	}
	if f.Hang {
		<-ctx.Done()
		return none, ctx.Err()
	}
	return none, f.Err
}
