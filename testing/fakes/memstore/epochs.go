package memstore

import (
	"context"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Epoch matches redisstore's Epoch.
func (s *Store) Epoch(ctx context.Context, generation uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epochs[generation], ctx.Err()
}

// RaiseEpoch matches redisstore's RaiseEpoch.
func (s *Store) RaiseEpoch(ctx context.Context, generation, epoch uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epochs[generation] = max(s.epochs[generation], epoch)
	return ctx.Err()
}

// Claimed matches redisstore's Claimed, including the incarnation.
func (s *Store) Claimed(ctx context.Context, room string) (reconcile.Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.room(room).fence; f != nil {
		return f.rec.Claim, ctx.Err()
	}
	return reconcile.Claim{}, ctx.Err()
}
