package main

import (
	"context"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
)

// livekitRooms is the LiveKit client as the rooms see it.
type livekitRooms struct{ *livekit.Client }

// Participants implements actors.Rooms.
func (l livekitRooms) Participants(ctx context.Context, room string) ([]reconcile.Participant, int, error) {
	list, err := l.Client.Participants(ctx, room)
	return list.Active, list.Waiting, err
}

// plain takes the keys out of hiding, for those who verify signatures with them.
func (l LiveKitConfig) plain() map[string]string {
	keys := map[string]string{}
	for key, secret := range l.WebhookKeys() {
		keys[key] = secret.Reveal()
	}
	return keys
}
