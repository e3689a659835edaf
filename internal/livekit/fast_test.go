package livekit

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// TestLiveKitsWebhooksAreReadFast checks that neither token nor body of what LiveKit really sends needs the libraries.
func TestLiveKitsWebhooksAreReadFast(t *testing.T) {
	v := newVerifier(t)
	for _, folder := range fixtures.Load(t) {
		for _, d := range folder.Deliveries {
			if readPlain(d.Body) == nil {
				t.Errorf("%s: %s", folder.Name, d.Body)
			}
			if raw := sign(t, webhookClaims(d.Body)); v.keys.readFast(raw, at) == nil {
				t.Errorf("%s: token %s", folder.Name, raw)
			}
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b)
	for _, folder := range fixtures.Load(b) {
		for _, d := range folder.Deliveries {
			if folder.Name == "basic" && strings.Contains(string(d.Body), `"alice"`) && strings.Contains(string(d.Body), "participant_joined") {
				raw := sign(b, webhookClaims(d.Body))
				b.Run(fmt.Sprintf("%d bytes", len(d.Body)), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, known, err := v.Verify(d.Body, raw, at); !known || err != nil {
							b.Fatal(known, err)
						}
					}
				})
				return
			}
		}
	}
	b.Fatal("no such delivery")
}

// FuzzFastEvent checks that the libraries read every body alike that they need not read.
func FuzzFastEvent(f *testing.F) {
	for _, folder := range fixtures.Load(f) {
		for _, d := range folder.Deliveries {
			f.Add(d.Body)
		}
	}
	for _, body := range []string{
		`{"event":"participant_joined",` + aRoom + `,` + aPerson + `,` + ids + `}`,
		`{"event":"participant_left",` + aRoom + `,"participant":{"sid":"P","identity":"i","kind":"SIP","disconnectReason":"MIGRATION","permission":{"hidden":true},"attributes":{"a":"\n","b":"é"}},` + ids + `}`,
		` { "event" : "x" , "room" : { } , "a" : [ 1 , { "b" : [ ] } , null , true ] } `,
		`{"event":"room_started","room":{"sid":"RM_1","name":"r","creation_time":1,"maxParticipants":"3","creationTimeMs":18},"createdAt":9}`,
		`{"event":"room_started","room":{"sid":"RM_1","name":"r","sid":"RM_2"},"createdAt":9}`,
		`{"event":"a","createdAt":09}`, `{"event":"a","createdAt":9.0}`, `{"event":"a","createdAt":"9" ,"id":"\ud800"}`,
		`{"event":"room_started","id":"E","room":{"sid":"RM_1","name":"r"},"createdAt":"1795400000 "}`,
		`{"event":"room_started","room":{"sid":"RM_1","name":"r","maxParticipants":"3` + "\n" + `"},"createdAt":9}`,
		`{"event":"participant_left","room":null,"participant":{"attributes":{"a":"1","a":"2"}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := readPlain(body)
		if w == nil {
			return
		}
		fast, known, err := eventOf(w, nil)
		trimmed, whole, refused := readAny(body)
		if refused != nil {
			t.Fatalf("%q is refused: %v", body, refused)
		}
		if want, wantKnown, wantErr := eventOf(whole, trimmed); !reflect.DeepEqual(fast, want) || known != wantKnown || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q: %+v, %v, %v; the libraries read %+v, %v, %v", body, fast, known, err, want, wantKnown, wantErr)
		}
	})
}

// FuzzFastToken signs arbitrary headers and claims, or puts other text in the signature's place, and checks that the libraries accept every
// token that they need not read.
func FuzzFastToken(f *testing.F) {
	header := `{"alg":"HS256","typ":"JWT"}`
	for _, claims := range []string{
		`{"iss":"devkey","nbf":1795400100,"exp":1795400400,"iat":1795400100,"sha256":"x"}`,
		`{"iss":"devkey","exp":1795400400,"sha256":"x","EXP":1}`, `{"iss":"devkey","exp":1795400400,"sha256":"x","iss":"other"}`,
		`{"iss":"devkey","exp":1795399800,"sha256":"x"}`, `{"iss":"devkey","exp":1795400400,"nbf":1795400399,"sha256":"x"}`,
		`{"iss":"devkey","exp":"1795400400","sha256":"x"}`, `{"iss":"devkey","exp":1795400400,"sha256":"x","video":{"room":1}}`,
		`{"iss":"devkey","exp":1795400400,"sha256":"x","name":{"a":[1]}}{}`, `{"iss":"devkey","exp":1795400400,"sha256":"x","sub":1}`,
	} {
		f.Add(header, claims, "")
	}
	f.Add(`{"alg":"none"}`, `{"iss":"devkey","exp":1795400400,"sha256":"x"}`, "")
	for _, length := range []int{1, 42, 43, 44, 86, 87, 100, 500} {
		f.Add(header, `{"iss":"devkey","exp":1795400400,"sha256":"x"}`, strings.Repeat("A", length))
	}
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, header, payload, forged string) {
		raw := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		signature, err := jwt.SigningMethodHS256.Sign(raw, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		raw += "." + cmp.Or(forged, base64.RawURLEncoding.EncodeToString(signature))
		fast := v.keys.readFast(raw, at)
		if fast == nil {
			return
		}
		want, err := v.keys.readAny(raw, at)
		if err != nil || want.Issuer != fast.Issuer || want.SHA256 != fast.SHA256 || !want.ExpiresAt.Equal(fast.ExpiresAt.Time) || want.Video != fast.Video {
			t.Fatalf("%s: %+v; the libraries read %+v, %v", payload, fast, want, err)
		}
	})
}
