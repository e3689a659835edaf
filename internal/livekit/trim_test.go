package livekit

import (
	"testing"
)

// TestTrim checks that the fields that make up an event stay, in every form that JSON allows, and that what the parser refuses in them stays
// too.
func TestTrim(t *testing.T) {
	for body, want := range map[string]string{
		` { "event" : "x" , "tracks" : [ ] , "id" : "1" } ` + "\n":              `{"event":"x","id":"1"}`,
		`{"x":{"a":"}\\\""},"\u0065vent":"x"}`:                                  `{"\u0065vent":"x"}`,
		`{"participant":{"tracks":[{}],"is_publisher":true,"attributes":{}}}`:   `{"participant":{"is_publisher":true,"attributes":{}}}`,
		`{"participant":{"permission":{"hidden":true,"canPublishSources":[]}}}`: `{"participant":{"permission":{"hidden":true}}}`,
		`{"room":[{"a":1}],"room":null}`:                                        `{"room":[{"a":1}],"room":null}`,
		`{"participant":{"attributes":{"a":{"b":[1,"]"]}}}}`:                    `{"participant":{"attributes":{"a":{"b":[1,"]"]}}}}`,
		`{}`: `{}`, `[1]`: `[1]`, ` -1e5 `: `-1e5`, `"a"`: `"a"`, `null`: `null`,
	} {
		if got := trim([]byte(body)); got == nil || string(got.out) != want {
			t.Errorf("%s became %s, want %s", body, got.out, want)
		}
	}
	if trim([]byte(`{"a":1}}`)) != nil {
		t.Error("what is not JSON was trimmed")
	}
}
