package livekit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// FuzzReadEvent parses arbitrary signed bodies: the result must be a complete event or ErrMalformed, without a secret.
func FuzzReadEvent(f *testing.F) {
	for _, folder := range fixtures.Load(f) {
		for _, d := range folder.Deliveries {
			f.Add(d.Body)
		}
	}
	f.Add([]byte(`{"event":"egress_started"}`))
	f.Add([]byte(`{"event":"x","room":{},"participant":{"kind":"K"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if n := Dropped(body); n < 0 || n > 0 && !bytes.Contains(body, []byte("ropped")) {
			t.Fatalf("%d events were dropped", n)
		}
		e, known, err := readEvent(body)
		var w livekit.WebhookEvent // the complete message, which costs far more than the parts that are kept
		if whole := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &w) == nil; whole && known && err == nil &&
			(e.ID != w.Id || e.CreatedAt != w.CreatedAt || e.Room.Name != w.GetRoom().GetName() || e.Room.SID != w.GetRoom().GetSid() ||
				hasParticipant(e.Kind) && (e.Participant.SID != w.GetParticipant().GetSid() || e.Participant.Identity != w.GetParticipant().GetIdentity() ||
					len(e.Participant.Attributes) != len(w.GetParticipant().GetAttributes()))) {
			t.Fatalf("%+v, and whole %v", e, &w)
		}
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

// FuzzToken gives unsigned garbage to the one parser that strangers reach.
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
		sent := strings.NewReplacer("\r", "", "\n", "").Replace(authorization) // base64 skips them, and no header can hold them
		if errors.Is(err, ErrMalformed) && !strings.Contains(sent, good) {
			t.Fatalf("verified: %q", authorization)
		}
	})
}

// FuzzClaims verifies arbitrary signed claims: a token is valid only for a time that it names, and only for what it grants.
func FuzzClaims(f *testing.F) {
	exp := fmt.Sprint(at.Unix() + 60)
	for _, claims := range []string{`{"iss":"devkey","exp":` + exp + `,"video":{"roomList":true}}`, `{"iss":"devkey","exp":1e300}`, `{"iss":"devkey","exp":"x"}`,
		`{"iss":"devkey","exp":` + exp + `,"sub":"i","video":{"roomAdmin":true,"room":"r"}}`, `{"iss":"nobody hunter2","exp":1}`, `{"iss":"devkey"}`, `null`, `[]`,
		`{"iss":"devkey","exp":` + exp + `,"nbf":` + fmt.Sprint(at.Unix()+9999) + `}`} {
		f.Add([]byte(claims))
	}
	tokens, err := NewTokens(map[string]string{testKey: testSecret})
	if err != nil {
		f.Fatal(err)
	}
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
		signature, err := jwt.SigningMethodHS256.Sign(text, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		token := text + "." + base64.RawURLEncoding.EncodeToString(signature)
		_, admitted := v.Admit(token, at)
		grant, err := tokens.Verify(token, at)
		if err != nil {
			if grant != (reconcile.Grant{}) || !errors.Is(err, ErrUnauthorized) || admitted == nil || len(err.Error()) > 1000 {
				t.Fatalf("%+v, %v; as a webhook's %v", grant, err, admitted)
			}
			return
		}
		var c map[string]any
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Fatalf("no claims, and good: %q", payload)
		}
		if later, err := tokens.Verify(token, time.Unix(maxSeconds, 0).Add(time.Hour)); err == nil {
			t.Fatalf("%q is good for ever: %+v", payload, later)
		}
		if bytes.Contains(payload, []byte(`\`)) || !utf8.Valid(payload) {
			return // names may be escaped or written in other letters
		}
		for _, s := range []string{grant.Room, grant.Identity} {
			if !bytes.Contains(payload, []byte(s)) {
				t.Fatalf("%q grants %+v", payload, grant)
			}
		}
		if (grant.RoomAdmin || grant.RoomList) && !bytes.Contains(payload, []byte("true")) {
			t.Fatalf("%q grants %+v", payload, grant)
		}
	})
}

// FuzzHostURL parses LiveKit's address. An accepted value is a base URL without user, query and fragment, and parsing it again gives the same
// URL. An error shows no password.
func FuzzHostURL(f *testing.F) {
	for _, host := range []string{"h", "ws://h:1/", "WSS://h/base//", "http://u:hunter2@h", "https://h/?token=hunter2", "ftp://h", "u:hunter2@h", "[::1]:7880", "h%"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		base, err := HostURL(host)
		if err != nil {
			scheme, _, _ := strings.Cut(host, "://")
			if strings.Contains(err.Error(), "hunter2") && !strings.Contains(strings.ToLower(scheme), "hunter2") {
				t.Fatal(err)
			}
			return
		}
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			t.Fatalf("%q became %q, %v", host, base, err)
		}
		if again, err := HostURL(base); err != nil || again != base {
			t.Fatalf("%q became %q and that %q, %v", host, base, again, err)
		}
	})
}

// FuzzAnswers gives the client answers of arbitrary servers: only a protobuf of the right type is a list, and no error is long.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/protobuf", wire(f, &livekit.Room{Name: "r", Sid: "RM", CreationTime: 1}))
	f.Add(200, "text/html", []byte("<html>"))
	f.Add(200, "application/protobuf; x", []byte{})
	f.Add(404, "application/json", []byte(`{"code":"not_found","msg":"requested room does not exist"}`))
	f.Add(401, "application/json", []byte(`{"code":"unauthenticated","msg":"`+strings.Repeat("x", 4000)+`"}`))
	f.Add(503, "text/plain", []byte("upstream"))
	f.Add(204, "", []byte{})
	f.Add(302, "", []byte("elsewhere"))
	var answer http.Response
	var body []byte
	client, err := New(Options{Host: "livekit.test", Key: testKey, Secret: testSecret, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp := answer
		resp.Request, resp.Body = r, io.NopCloser(bytes.NewReader(body))
		return &resp, nil
	})})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, kind string, data []byte) {
		if status == http.StatusTooManyRequests {
			return // the client would retry it after a while
		}
		answer, body = http.Response{StatusCode: status, ProtoMajor: 2, ContentLength: int64(len(data)), Header: http.Header{"Content-Type": {kind}}}, data
		ours := status == http.StatusOK && strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), "application/protobuf")
		names, err := client.ListRooms(t.Context())
		if err == nil && (!ours || len(names.Names) > len(data)) || err != nil && len(err.Error()) > 2000 {
			t.Fatalf("%d %q is a list of %d rooms, %v", status, kind, len(names.Names), err)
		}
		people, err := client.Participants(t.Context(), "r")
		if err == nil && !ours && !(people.NoRoom && status != http.StatusOK && bytes.Contains(data, []byte("not_found"))) {
			t.Fatalf("%d %q %q is %+v", status, kind, data, people)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// FuzzRetryAfter parses the Retry-After header.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "5", "-1", "99999999999", "1e3", "Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait := retryAfter(value, at)
		if n, err := strconv.ParseInt(value, 10, 64); wait < 0 || err == nil && n >= 0 && n <= 60 && wait != time.Duration(n)*time.Second ||
			wait > maxRetryAfter && !strings.Contains(value, ":") {
			t.Fatalf("%q: %v", value, wait)
		}
	})
}
