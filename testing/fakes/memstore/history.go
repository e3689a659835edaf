package memstore

import (
	"context"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Timeline matches redisstore's Timeline.
func (s *Store) Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.room(room).timeline
	return slices.Clone(all[:min(limit, len(all))]), ctx.Err()
}

// Drifted matches redisstore's Drifted, except that it loses nothing.
func (s *Store) Drifted(room string, cause reconcile.Cause, at int64, drift []reconcile.Drift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range drift {
		s.drift = append([]reconcile.DriftEntry{{Time: at, Room: room, Reason: d.Reason, Identity: d.Identity, SID: d.SID,
			Cause: cause, Node: s.node}}, s.drift...)
	}
	s.drift = s.drift[:min(len(s.drift), reconcile.DriftMax)]
}

// Drift matches redisstore's Drift.
func (s *Store) Drift(ctx context.Context) ([]reconcile.DriftEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.drift), ctx.Err()
}
