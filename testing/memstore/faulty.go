package memstore

import (
	"context"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Op is a call of the port.
type Op string

// The calls that can be made to fail.
const (
	Claim           Op = "claim"
	Commit          Op = "commit"
	Delist          Op = "delist"
	Index           Op = "index"
	RaiseGeneration Op = "raise generation"
)

// Fault is what happens to one call. The zero Fault is none.
type Fault struct {
	Delay time.Duration // before the call
	Hang  bool          // no answer until the caller's context ends; the call does not happen, unless Late
	Err   error         // the answer; the call does not happen, unless Late
	Late  bool          // with Err or Hang: the call happens all the same, and its result is lost
}

// Faulty is a Store whose calls fail as ordered. Lost data is Store.Flush.
type Faulty struct {
	*Store
	// Order gives each call's fault; room is "" for a call that concerns none. It is called at once by many.
	Order func(op Op, room string) Fault
}

// Claim claims, or fails as ordered.
func (f *Faulty) Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	return faulty(ctx, f.Order(Claim, room), func(ctx context.Context) (reconcile.Record, error) {
		return f.Store.Claim(ctx, room, c)
	})
}

// Commit commits, or fails as ordered.
func (f *Faulty) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	return faulty(ctx, f.Order(Commit, c.Room), func(ctx context.Context) (reconcile.Receipt, error) {
		return f.Store.Commit(ctx, c)
	})
}

// Delist delists, or fails as ordered.
func (f *Faulty) Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error {
	_, err := faulty(ctx, f.Order(Delist, room), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Delist(ctx, room, c, leader)
	})
	return err
}

// Index gives the index, or fails as ordered.
func (f *Faulty) Index(ctx context.Context) ([]string, error) {
	return faulty(ctx, f.Order(Index, ""), f.Store.Index)
}

// RaiseGeneration raises the generation, or fails as ordered.
func (f *Faulty) RaiseGeneration(ctx context.Context, g uint64) error {
	_, err := faulty(ctx, f.Order(RaiseGeneration, ""), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.RaiseGeneration(ctx, g)
	})
	return err
}

func faulty[T any](ctx context.Context, f Fault, call func(context.Context) (T, error)) (T, error) {
	var none T
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	if !f.Hang && f.Err == nil {
		return call(ctx)
	}
	if f.Late {
		// What was sent arrives, whether its sender still waits or not.
		_, _ = call(context.WithoutCancel(ctx))
	}
	if f.Hang {
		<-ctx.Done()
		return none, ctx.Err()
	}
	return none, f.Err
}
