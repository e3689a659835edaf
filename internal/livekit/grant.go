package livekit

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Tokens verifies LiveKit access tokens.
type Tokens struct{ keys keyring }

// NewTokens takes the accepted API keys with their secrets. Neither may be empty.
func NewTokens(keys map[string]string) (*Tokens, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	return &Tokens{keys: ring}, nil
}

// Verify reads the token of an Authorization header. Any fault is ErrUnauthorized. A valid token without video grants gives the zero Grant,
// which allows nothing.
func (t *Tokens) Verify(authorization string, now time.Time) (reconcile.Grant, error) {
	c, err := t.keys.read(authorization, now)
	if err != nil {
		return reconcile.Grant{}, err
	}
	return reconcile.Grant{RoomList: c.Video.RoomList, RoomAdmin: c.Video.RoomAdmin, Room: c.Video.Room, Identity: c.Subject}, nil
}
