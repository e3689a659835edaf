package livekit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rollcallhq/rollcall/testing/fixtures"
)

// FuzzReadEvent gives signed bodies of any kind to the reader: it must end in a whole event or in ErrMalformed, with no secret.
func FuzzReadEvent(f *testing.F) {
	for _, folder := range fixtures.Load(f) {
		for _, d := range folder.Deliveries {
			f.Add(d.Body)
		}
	}
	f.Add([]byte(`{"event":"egress_started"}`))
	f.Add([]byte(`{"event":"x","room":{},"participant":{"kind":"K"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, known, err := readEvent(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || known {
				t.Fatalf("known %v, %v", known, err)
			}
			return
		}
		if !known {
			return
		}
		if e.Kind == 0 || e.Room.Name == "" || e.Room.SID == "" || e.CreatedAt <= 0 || e.Room.CreatedMs < 0 || e.Participant.JoinedAt < 0 {
			t.Fatalf("half an event: %+v", e)
		}
		if hasParticipant(e.Kind) && (e.Participant.SID == "" || e.Participant.Identity == "" || e.Participant.Kind == "") {
			t.Fatalf("half a participant: %+v", e)
		}
		if !utf8.ValidString(e.Room.Name + e.Room.Metadata + e.Participant.Identity + e.Participant.Metadata) {
			t.Fatalf("invalid UTF-8: %+v", e)
		}
		if strings.Count(string(body), fixtures.Secret) == 1 && strings.Contains(string(body), `"turnPassword":"`+fixtures.Secret) &&
			strings.Contains(fmt.Sprintf("%+v", e), fixtures.Secret) {
			t.Fatalf("the secret leaks: %+v", e)
		}
	})
}

// FuzzToken gives unsigned rubbish to the one parser that strangers reach.
func FuzzToken(f *testing.F) {
	body := []byte(`{}`)
	f.Add(sign(f, webhookClaims(body)))
	f.Add("Bearer a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJkZXZrZXkifQ.")
	v := newVerifier(f)
	good := sign(f, webhookClaims(body))
	f.Fuzz(func(t *testing.T, authorization string) {
		_, known, err := v.Verify(body, authorization, at)
		if known || err == nil {
			t.Fatal("an empty event is known")
		}
		if errors.Is(err, ErrMalformed) && !strings.Contains(authorization, good) {
			t.Fatalf("verified: %q", authorization)
		}
	})
}
