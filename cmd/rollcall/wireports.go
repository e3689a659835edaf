package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// webhookVerifier is LiveKit's signature check as the API sees it.
type webhookVerifier struct{ *livekit.Verifier }

// Verify implements httpapi.Verifier.
func (v webhookVerifier) Verify(body []byte, authorization string, now time.Time) (reconcile.Event, bool, error) {
	e, known, err := v.Verifier.Verify(body, authorization, now)
	return e, known, webhookError(err)
}

// Admit implements httpapi.Verifier.
func (v webhookVerifier) Admit(authorization string, now time.Time) error {
	return webhookError(v.Verifier.Admit(authorization, now))
}

// Dropped implements httpapi.Verifier.
func (v webhookVerifier) Dropped(body []byte) int { return livekit.Dropped(body) }

func webhookError(err error) error {
	if err == nil {
		return nil
	}
	r := &httpapi.Rejected{Kind: httpapi.ErrUnauthorized}
	var why *livekit.Refusal
	if errors.As(err, &why) {
		r.Why = why.Why
	}
	for cause, name := range map[error]httpapi.Cause{livekit.ErrNoToken: httpapi.NoToken, livekit.ErrUnknownKey: httpapi.UnknownKey,
		livekit.ErrSignature: httpapi.WrongKey, livekit.ErrOtherBody: httpapi.OtherBody} {
		if errors.Is(err, cause) {
			r.Cause = name
		}
	}
	switch {
	case errors.Is(err, livekit.ErrMalformed):
		r.Kind = httpapi.ErrMalformed
	case errors.Is(err, livekit.ErrClock):
		r.Kind = httpapi.ErrExpired
	}
	return r
}

// tokenVerifier reads the grants of LiveKit's access tokens.
type tokenVerifier struct{ *livekit.Tokens }

// VerifyToken implements httpapi.Tokens.
func (v tokenVerifier) VerifyToken(token string, now time.Time) (httpapi.Grant, error) {
	g, err := v.Verify(token, now)
	return httpapi.Grant(g), err
}

// deliverer brings webhooks to their rooms.
type deliverer struct{ router *actors.Router }

// Deliver implements httpapi.Deliverer.
func (d deliverer) Deliver(ctx context.Context, e reconcile.Event) error {
	err := d.router.Deliver(ctx, e)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, actors.ErrExpired):
		return fmt.Errorf("%w: %w", httpapi.ErrExpired, err)
	case errors.Is(err, actors.ErrBusy):
		return fmt.Errorf("%w: %w", httpapi.ErrBusy, err)
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}

// reader reads Redis for the API.
type reader struct{ *redisstore.Store }

// Rooms implements httpapi.Reader.
func (r reader) Rooms(ctx context.Context, cursor string, limit int, search string) ([]string, string, error) {
	names, next, err := r.Store.RoomsLately(ctx, cursor, limit, search)
	return names, next, readError(err)
}

// Sizes implements httpapi.Reader.
func (r reader) Sizes(ctx context.Context, rooms []string) ([]httpapi.Size, error) {
	found, err := r.Store.Sizes(ctx, rooms)
	sizes := make([]httpapi.Size, len(found))
	for i, size := range found {
		sizes[i] = httpapi.Size(size)
	}
	return sizes, readError(err)
}

// State implements httpapi.Reader.
func (r reader) State(ctx context.Context, room string, most int64) (json.RawMessage, bool, error) {
	value, ok, err := r.Store.StateUpTo(ctx, room, most)
	return value, ok, readError(err)
}

// States implements httpapi.Reader.
func (r reader) States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error) {
	participants, states, err = r.Store.States(ctx, rooms)
	return participants, states, readError(err)
}

// Count implements httpapi.Reader.
func (r reader) Count(ctx context.Context) (int64, error) {
	n, err := r.Store.Count(ctx)
	return n, readError(err)
}

// Matching implements httpapi.Reader.
func (r reader) Matching(ctx context.Context) (active, queue int64, err error) {
	active, queue, err = r.Store.Matching(ctx)
	return active, queue, readError(err)
}

func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisstore.ErrCursor):
		return fmt.Errorf("%w: %w", httpapi.ErrMalformed, err)
	case errors.Is(err, reconcile.ErrIncomplete):
		return fmt.Errorf("%w: %w", httpapi.ErrIncomplete, err)
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}

// health is whether this node can take webhooks.
type health struct {
	own   *ownership
	redis *redisstore.Health
}

// Ready implements httpapi.Health. It asks nobody: what it tells is a few seconds old at most.
func (h health) Ready(context.Context) error {
	n, ok := h.own.cluster()
	if !ok {
		return errors.New("the cluster is not open yet")
	}
	if err := n.Ready(); err != nil {
		return err
	}
	return h.redis.Ready()
}
