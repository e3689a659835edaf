package livekit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// verify signs body as LiveKit would, and verifies it.
func verify(t testing.TB, body string) (reconcile.Event, bool, error) {
	t.Helper()
	return newVerifier(t).Verify([]byte(body), sign(t, webhookClaims([]byte(body))), at)
}

const (
	aRoom   = `"room":{"sid":"RM_1","name":"r","turnPassword":"TURN-SECRET-MUST-NOT-LEAK"}`
	aPerson = `"participant":{"sid":"PA_1","identity":"i"}`
	ids     = `"id":"EV_1","createdAt":"9"`
)

func TestMalformed(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	deep := strings.Repeat("[", 1_000_000)
	joined := func(room, person string) string {
		return fmt.Sprintf(`{"event":"participant_joined","room":{%s},"participant":{%s},%s}`, room, person, ids)
	}
	room, person := `"sid":"RM_1","name":"r"`, `"sid":"PA_1","identity":"i"`
	for name, body := range map[string]string{
		"empty":                 ``,
		"null":                  `null`,
		"no event":              `{}`,
		"array":                 `[]`,
		"rubbish":               `turnPassword TURN-SECRET-MUST-NOT-LEAK`,
		"cut":                   `{"event":"room_started",` + aRoom,
		"two values":            `{"event":"room_started",` + aRoom + `,` + ids + `}{}`,
		"wrong type of secret":  `{"event":"room_started","room":{"sid":"RM_1","name":"r","turnPassword":["TURN-SECRET-MUST-NOT-LEAK"]},` + ids + `}`,
		"no room":               `{"event":"room_started",` + ids + `}`,
		"null room":             `{"event":"room_started","room":null,` + ids + `}`,
		"no room name":          `{"event":"room_started","room":{"sid":"RM_1"},` + ids + `}`,
		"no room sid":           `{"event":"room_finished","room":{"name":"r"},` + ids + `}`,
		"no createdAt":          `{"event":"room_finished",` + aRoom + `}`,
		"negative createdAt":    `{"event":"room_finished",` + aRoom + `,"createdAt":"-1"}`,
		"createdAt in ms":       `{"event":"room_finished",` + aRoom + `,"createdAt":"1795399866205"}`,
		"createdAt over int64":  `{"event":"room_finished",` + aRoom + `,"createdAt":"9223372036854775808"}`,
		"createdAt 1e400":       `{"event":"room_finished",` + aRoom + `,"createdAt":1e400}`,
		"no participant":        `{"event":"participant_left",` + aRoom + `,` + ids + `}`,
		"no sid":                joined(room, `"identity":"i"`),
		"no identity":           joined(room, `"sid":"PA_1"`),
		"track without one":     `{"event":"track_published",` + aRoom + `,` + ids + `}`,
		"negative join":         joined(room, person+`,"joinedAtMs":"-5"`),
		"far join":              joined(room, person+`,"joinedAtMs":"9000000000000000000"`),
		"far join in seconds":   joined(room, person+`,"joinedAt":"9000000000000000000"`),
		"far creation":          joined(room+`,"creationTimeMs":"9000000000000000000"`, person),
		"negative creation":     joined(room+`,"creationTime":"-1"`, person),
		"negative version":      joined(room, person+`,"version":-1`),
		"long name":             joined(`"sid":"RM_1","name":"`+long+`"`, person),
		"long room sid":         joined(`"name":"r","sid":"`+long+`"`, person),
		"long identity":         joined(room, `"sid":"PA_1","identity":"`+long+`"`),
		"long sid":              joined(room, `"identity":"i","sid":"`+long+`"`),
		"long id":               `{"event":"room_started",` + aRoom + `,"createdAt":"9","id":"` + long + `"}`,
		"invalid UTF-8":         joined(room, `"sid":"PA_1","identity":"`+"\xff\xfe"+`"`),
		"lone surrogate":        joined(room, `"sid":"PA_1","identity":"\ud800"`),
		"attribute not text":    joined(room, person+`,"attributes":{"a":1}`),
		"attribute twice":       joined(room, person+`,"attributes":{"a":"1","a":"2"}`),
		"field twice":           joined(room, person+`,"sid":"PA_2"`),
		"deep":                  `{"event":"room_started",` + aRoom + `,` + ids + `,"unknown":` + deep,
		"deep in a known field": `{"event":` + deep,
		"too large":             `{"event":"room_started",` + aRoom + `,` + ids + `,"x":"` + strings.Repeat("x", reconcile.MaxWebhookBytes) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e, known, err := verify(t, body)
			if !errors.Is(err, ErrMalformed) || known || e.Room.Name != "" {
				t.Fatalf("got %+v, %v, %v", e, known, err)
			}
			if strings.Contains(err.Error(), fixtures.Secret) || len(err.Error()) > 200 {
				t.Errorf("quotes the body: %.300v", err)
			}
		})
	}
}

func TestUnknownEvents(t *testing.T) {
	for name, body := range map[string]string{
		"egress":                  `{"event":"egress_started","egressInfo":{"egressId":"E","roomName":"r"},` + ids + `}`,
		"ingress":                 `{"event":"ingress_ended","ingressInfo":{"ingressId":"I"},` + ids + `}`,
		"unknown name":            `{"event":"coffee_brewed",` + ids + `}`,
		"unknown with a room":     `{"event":"room_painted",` + aRoom + `,` + ids + `}`,
		"unknown with half a one": `{"event":"coffee_brewed","room":{"sid":"RM_1"},` + aPerson + `,` + ids + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			if e, known, err := verify(t, body); known || err != nil {
				t.Errorf("got %+v, %v, %v", e, known, err)
			}
		})
	}
	e, known, err := verify(t, `{"event":"participant_waved",`+aRoom+`,`+aPerson+`,`+ids+`}`)
	if err != nil || !known || e.Kind != reconcile.Track || e.Participant.SID != "PA_1" {
		t.Errorf("an unknown event of a participant: %+v, %v, %v", e, known, err)
	}
}

// TestOtherServers uses events as older and newer servers send them.
func TestOtherServers(t *testing.T) {
	e, known, err := verify(t, `{"event":"participant_joined","fresh":{"a":[1,{}]},
		"room":{"sid":"RM_1","name":"\u0000{}*\r\n\"","creationTime":"1795399866","fresh":7},
		"participant":{"sid":"PA_1","identity":"i","joinedAt":1795399867,"kind":"HOLOGRAM","state":"BEAMING","fresh":null},`+ids+`}`)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	if e.Room.Name != "\x00{}*\r\n\"" || e.Room.CreatedMs != 1795399866000 || e.Participant.JoinedAt != 1795399867000 {
		t.Errorf("got %+v", e)
	}
	if e.Participant.Kind != "HOLOGRAM" {
		t.Errorf("an unknown kind became %q", e.Participant.Kind)
	}
	e, _, err = verify(t, `{"event":"participant_joined","room":{"sid":"RM_1","name":"r"},"participant":{"sid":"PA_1","identity":"i"},"id":"EV_1","createdAt":"1795399866"}`)
	if err != nil || e.Room.CreatedMs != 1795399866000 || e.Participant.JoinedAt != 1795399866000 {
		t.Errorf("without their times, the room and its participant are as old as the event: %+v, %v", e, err)
	}
	for _, event := range []string{"track_published", "participant_left", "room_finished"} {
		e, _, err = verify(t, `{"event":"`+event+`","room":{"sid":"RM_1","name":"r"},"participant":{"sid":"PA_1","identity":"i"},"id":"EV_1","createdAt":"1795399866"}`)
		if err != nil || e.Room.CreatedMs != 0 {
			t.Errorf("%s would end a newer instance: %+v, %v", event, e, err)
		}
	}
	for kind, want := range map[string]string{`"SIP"`: "SIP", `3`: "SIP", `99`: "99", `null`: "STANDARD", `"STANDARD"`: "STANDARD"} {
		e, _, err := verify(t, `{"event":"participant_left",`+aRoom+`,"participant":{"sid":"P","identity":"i","kind":`+kind+`},`+ids+`}`)
		if err != nil || e.Participant.Kind != want {
			t.Errorf("kind %s became %q, %v", kind, e.Participant.Kind, err)
		}
	}
}

// TestDisconnectReason also uses reasons that are newer than livekit/protocol, and no reason.
func TestDisconnectReason(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "UNKNOWN_REASON",
		`,"disconnectReason":"MIGRATION"`: "MIGRATION",
		`,"disconnectReason":5`:           "ROOM_DELETED",
		`,"disconnectReason":999`:         "UNKNOWN_REASON",
		`,"disconnectReason":"OF_LATER"`:  "OF_LATER",
	} {
		body := `{"event":"participant_left","room":{"sid":"RM_1","name":"r"},"participant":{"sid":"PA_1","identity":"i"` + text + `},"createdAt":"9"}`
		e, known, err := readEvent([]byte(body))
		if err != nil || !known || e.Reason != want {
			t.Errorf("%q: the reason %q (known: %v, %v), want %q", text, e.Reason, known, err, want)
		}
	}
}
