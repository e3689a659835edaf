package main

import (
	"context"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
)

// livekitRooms is the LiveKit client as the API sees it.
type livekitRooms struct{ *livekit.Client }

// Look implements httpapi.LiveKit. People ask for it, so it comes after syncs and the looks that events ask for.
func (l livekitRooms) Look(ctx context.Context, room string) (look reconcile.Look, err error) {
	ctx = livekit.Courtesy(ctx)
	listed, err := l.Listed(ctx, []string{room})
	if err != nil {
		return look, err
	}
	people, err := l.Participants(ctx, room)
	return people.In(listed.In(look, room)), err
}

// plain takes the keys out of hiding, for those who verify signatures with them.
func (l LiveKitConfig) plain() map[string]string {
	keys := map[string]string{}
	for key, secret := range l.WebhookKeys() {
		keys[key] = secret.Reveal()
	}
	return keys
}
