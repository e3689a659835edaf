package livekit

import (
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/reconcile"
)

func TestTokens(t *testing.T) {
	tokens, err := NewTokens(map[string]string{testKey: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		video *auth.VideoGrant
		want  reconcile.Grant
	}{
		"reader":    {&auth.VideoGrant{RoomList: true}, reconcile.Grant{RoomList: true}},
		"admin":     {&auth.VideoGrant{RoomList: true, RoomAdmin: true}, reconcile.Grant{RoomList: true, RoomAdmin: true}},
		"moderator": {&auth.VideoGrant{RoomAdmin: true, Room: "a\x00b"}, reconcile.Grant{RoomAdmin: true, Room: "a\x00b"}},
		"guest":     {&auth.VideoGrant{RoomJoin: true, Room: "r"}, reconcile.Grant{Room: "r"}},
		"nothing":   {nil, reconcile.Grant{}},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := auth.NewAccessToken(testKey, testSecret).SetVideoGrant(c.video).SetValidFor(time.Hour).ToJWT()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tokens.Verify("Bearer "+token, now); err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
			for _, when := range []time.Time{now.Add(-6 * time.Minute), now.Add(62 * time.Minute)} {
				if got, err := tokens.Verify("Bearer "+token, when); !errors.Is(err, ErrClock) || !errors.Is(err, ErrUnauthorized) || got != (reconcile.Grant{}) {
					t.Errorf("at %s: %+v, %v", when.Sub(now), got, err)
				}
			}
		})
	}
	claims := jwt.MapClaims{"iss": testKey, "exp": now.Add(time.Hour).Unix(), "video": map[string]any{"roomList": true, "roomAdmin": true}}
	for name, token := range map[string]string{
		"unknown key":  sign(t, with(claims, jwt.MapClaims{"iss": "stranger"})),
		"wrong secret": signAs(t, jwt.SigningMethodHS256, claims, []byte("guess")),
		"no exp":       sign(t, with(claims, jwt.MapClaims{"exp": nil})),
		"none":         "",
		"odd grants":   sign(t, with(claims, jwt.MapClaims{"video": []int{1}})),
	} {
		if got, err := tokens.Verify("Bearer "+token, now); !errors.Is(err, ErrUnauthorized) || got != (reconcile.Grant{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
