package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

const webhookPath = "/api/livekit-webhook"

// sign returns the Authorization header of a webhook that is valid until then.
func sign(t *testing.T, body []byte, key, secret string, until time.Time) string {
	t.Helper()
	sum := sha256.Sum256(body)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": key, "exp": until.Unix(), "nbf": until.Add(-5 * time.Minute).Unix(), "sha256": base64.StdEncoding.EncodeToString(sum[:]),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// hook delivers a body as LiveKit would, signed now.
func (w *world) hook(body []byte) answer {
	w.t.Helper()
	return w.hookWith(body, sign(w.t, body, livekittest.Key, livekittest.Secret, time.Now().Add(5*time.Minute)))
}

func (w *world) hookWith(body []byte, authorization string) answer {
	w.t.Helper()
	a, err := w.tryHook(body, authorization)
	if err != nil {
		w.t.Fatalf("deliver a webhook: %v", err)
	}
	return a
}

func (w *world) tryHook(body []byte, authorization string) (answer, error) {
	header := http.Header{"Content-Type": {"application/webhook+json"}, "Authorization": {authorization}}
	if authorization == "" {
		header["Authorization"] = nil
	}
	return w.tryRequest(http.MethodPost, webhookPath, body, header)
}

// joined returns a participant_joined webhook of a room that LiveKit need not know.
func joined(t *testing.T, room, identity string) []byte {
	t.Helper()
	now := time.Now()
	body, err := protojson.Marshal(&livekit.WebhookEvent{
		Event: "participant_joined", Id: "EV_" + room + identity, CreatedAt: now.Unix(),
		Room: &livekit.Room{Name: room, Sid: "RM_" + room, CreationTime: now.Unix() - 60, CreationTimeMs: now.UnixMilli() - 60_000},
		Participant: &livekit.ParticipantInfo{Identity: identity, Sid: "PA_" + room + identity, State: livekit.ParticipantInfo_ACTIVE,
			JoinedAt: now.Unix(), JoinedAtMs: now.UnixMilli(), Version: 2},
	})
	if err != nil {
		t.Fatal(fmt.Errorf("make a webhook: %w", err))
	}
	return body
}
