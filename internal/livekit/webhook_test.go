package livekit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// TestFixtures compares every captured delivery with a parser of its JSON that knows nothing of protobuf.
func TestFixtures(t *testing.T) {
	v := newVerifier(t)
	kinds, n := map[string]int{}, 0
	for _, folder := range fixtures.Load(t) {
		for i, d := range folder.Deliveries {
			n++
			got, known, err := v.Verify(d.Body, sign(t, webhookClaims(d.Body)), at)
			if err != nil || !known {
				t.Fatalf("%s %d: known %v, %v", folder.Name, i+1, known, err)
			}
			if diff := cmp.Diff(plainRead(t, d.Body), got); diff != "" {
				t.Errorf("%s %d: -want +got\n%s", folder.Name, i+1, diff)
			}
			if strings.Contains(fmt.Sprintf("%#v", got), fixtures.Secret) {
				t.Errorf("%s %d: the secret leaks", folder.Name, i+1)
			}
			if got.Kind == reconcile.Joined {
				kinds[got.Participant.Kind+strconv.FormatBool(got.Participant.Hidden)]++
			}
		}
	}
	if n < 90 || kinds["AGENTfalse"] == 0 || kinds["STANDARDtrue"] == 0 {
		t.Errorf("%d deliveries, kinds %v: the fixtures tell too little", n, kinds)
	}
}

func plainRead(t *testing.T, body []byte) reconcile.Event {
	t.Helper()
	var w struct {
		Event     string
		ID        string
		CreatedAt int64 `json:",string"`
		Room      struct {
			Name, Sid, Metadata string
			CreationTimeMs      int64 `json:",string"`
			MaxParticipants     uint32
		}
		Participant struct {
			Sid, Identity, Name, Metadata, Kind string
			DisconnectReason                    string
			JoinedAtMs                          int64 `json:",string"`
			Version                             uint32
			Attributes                          map[string]string
			Permission                          struct{ Hidden bool }
		}
	}
	if err := json.Unmarshal(body, &w); err != nil {
		t.Fatal(err)
	}
	e := reconcile.Event{
		ID: w.ID, CreatedAt: w.CreatedAt, Expires: at.Add(5 * time.Minute).UnixMilli(),
		Kind: map[string]reconcile.EventKind{
			"room_started": reconcile.Started, "room_finished": reconcile.Finished, "participant_joined": reconcile.Joined,
			"participant_left": reconcile.Left, "participant_connection_aborted": reconcile.Aborted,
			"track_published": reconcile.Track, "track_unpublished": reconcile.Track,
		}[w.Event],
		Room: reconcile.RoomInfo{Name: w.Room.Name, SID: w.Room.Sid, CreatedMs: w.Room.CreationTimeMs,
			MaxParticipants: w.Room.MaxParticipants, Metadata: w.Room.Metadata},
	}
	if p := w.Participant; p.Sid != "" {
		if p.Kind == "" {
			p.Kind = "STANDARD"
		}
		e.Participant = reconcile.Participant{Identity: p.Identity, JoinedAt: p.JoinedAtMs, Metadata: p.Metadata, SID: p.Sid,
			Name: p.Name, Attributes: p.Attributes, Kind: p.Kind, Hidden: p.Permission.Hidden, Version: p.Version}
	}
	if e.Kind == reconcile.Left || e.Kind == reconcile.Aborted {
		if e.Reason = w.Participant.DisconnectReason; e.Reason == "" {
			e.Reason = reconcile.UnknownReason
		}
	}
	return e
}

func TestVerifyToken(t *testing.T) {
	body := []byte(`{"event":"room_started","room":{"sid":"RM_1","name":"r","creationTime":"7"},"id":"EV_1","createdAt":"9"}`)
	good := webhookClaims(body)
	altered := func(changes jwt.MapClaims) string { return sign(t, with(good, changes)) }
	parts := strings.Split(sign(t, good), ".")
	other := []byte("another-secret-of-at-least-32-chars")
	for name, c := range map[string]struct {
		authorization string
		want          error // nil: accepted
	}{
		"as LiveKit sends it":      {sign(t, good), nil},
		"with Bearer":              {"Bearer " + sign(t, good), nil},
		"with bearer and spaces":   {"  bearer   " + sign(t, good) + " ", nil},
		"the other key":            {signAs(t, jwt.SigningMethodHS256, with(good, jwt.MapClaims{"iss": "other"}), other), nil},
		"no nbf":                   {altered(jwt.MapClaims{"nbf": nil}), nil},
		"expired 59 s ago":         {altered(jwt.MapClaims{"exp": at.Unix() - 59}), nil},
		"valid in 5 min":           {altered(jwt.MapClaims{"nbf": at.Unix() + 300}), nil},
		"expired 60 s ago":         {altered(jwt.MapClaims{"exp": at.Unix() - 60}), ErrClock},
		"valid in 5 min and 1 s":   {altered(jwt.MapClaims{"nbf": at.Unix() + 301}), ErrClock},
		"no exp":                   {altered(jwt.MapClaims{"exp": nil}), ErrUnauthorized},
		"exp 0":                    {altered(jwt.MapClaims{"exp": 0}), ErrClock},
		"exp beyond int64":         {altered(jwt.MapClaims{"exp": json.Number("1e30")}), ErrClock},
		"exp in milliseconds":      {altered(jwt.MapClaims{"exp": at.UnixMilli()}), ErrUnauthorized},
		"exp is text":              {altered(jwt.MapClaims{"exp": "soon"}), ErrUnauthorized},
		"none":                     {"", ErrUnauthorized},
		"only Bearer":              {"Bearer ", ErrUnauthorized},
		"rubbish":                  {"a.b.c", ErrUnauthorized},
		"long rubbish":             {strings.Repeat("a.", maxToken), ErrUnauthorized},
		"unknown key":              {altered(jwt.MapClaims{"iss": "stranger"}), ErrUnauthorized},
		"no key":                   {altered(jwt.MapClaims{"iss": nil}), ErrUnauthorized},
		"the other key's name":     {altered(jwt.MapClaims{"iss": "other"}), ErrUnauthorized},
		"wrong secret":             {signAs(t, jwt.SigningMethodHS256, good, other), ErrUnauthorized},
		"alg none":                 {signAs(t, jwt.SigningMethodNone, good, jwt.UnsafeAllowNoneSignatureType), ErrUnauthorized},
		"alg none, old signature":  {signAs(t, jwt.SigningMethodNone, good, jwt.UnsafeAllowNoneSignatureType) + parts[2], ErrUnauthorized},
		"HS512":                    {signAs(t, jwt.SigningMethodHS512, good, []byte(testSecret)), ErrUnauthorized},
		"no signature":             {parts[0] + "." + parts[1] + ".", ErrUnauthorized},
		"signature of another":     {parts[0] + "." + parts[1] + "." + strings.Split(altered(jwt.MapClaims{"iat": 1}), ".")[2], ErrUnauthorized},
		"no sha256":                {altered(jwt.MapClaims{"sha256": nil}), ErrUnauthorized},
		"sha256 of something else": {altered(jwt.MapClaims{"sha256": webhookClaims([]byte("x"))["sha256"]}), ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			_, admitted := newVerifier(t).Admit(c.authorization, at)
			if onlyBody := name == "sha256 of something else"; !onlyBody && !errors.Is(admitted, c.want) || onlyBody && admitted != nil {
				t.Errorf("without its body: %v, want %v", admitted, c.want)
			}
			e, known, err := newVerifier(t).Verify(body, c.authorization, at)
			if c.want == nil {
				if err != nil || !known || e.Room.Name != "r" || e.Room.CreatedMs != 7000 {
					t.Errorf("refused: %v, %+v", err, e)
				}
				return
			}
			if !errors.Is(err, c.want) || !errors.Is(err, ErrUnauthorized) || known || e.Room.Name != "" {
				t.Errorf("got %+v, %v, %v; want %v", e, known, err, c.want)
			}
			if c.want != ErrClock && errors.Is(err, ErrClock) {
				t.Errorf("blames the clock: %v", err)
			}
			if err != nil && len(c.authorization) > 20 && strings.Contains(err.Error(), c.authorization[:20]) {
				t.Errorf("quotes the token: %v", err)
			}
		})
	}
}

func TestVerifyEveryByteCounts(t *testing.T) {
	body := fixtures.Get(t, "basic").Deliveries[1].Body
	token, v := sign(t, webhookClaims(body)), newVerifier(t)
	for i := range body {
		changed := append([]byte(nil), body...)
		changed[i] ^= 1
		if _, _, err := v.Verify(changed, token, at); !errors.Is(err, ErrUnauthorized) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, _, err := v.Verify(append(body, ' '), token, at); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("a space more: %v", err)
	}
}

func TestKeysMustBeSecret(t *testing.T) {
	for _, keys := range []map[string]string{nil, {}, {"k": ""}, {"": "s"}, {testKey: testSecret, "k": ""}} {
		if _, err := NewVerifier(keys); err == nil {
			t.Errorf("NewVerifier takes %v", keys)
		}
		if _, err := NewTokens(keys); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("NewTokens with %v: %v", keys, err)
		}
	}
}
