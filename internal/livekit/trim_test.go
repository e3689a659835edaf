package livekit

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestDecodingIsBounded reads the largest bodies that hold as many small things as possible. What reading allocates in all may be a small
// multiple of the body.
func TestDecodingIsBounded(t *testing.T) {
	const most = 6 // times the body
	filled := func(front, back string, unit func(i int) string) string {
		var b strings.Builder
		for b.WriteString(front); b.Len() < MaxBody-len(back)-32; {
			b.WriteString(unit(b.Len()))
		}
		return b.String() + back
	}
	of := func(unit string) func(int) string { return func(int) string { return unit } }
	room, person := `"room":{"sid":"RM_1","name":"r"`, `"participant":{"sid":"PA_1","identity":"i"`
	front := `{"event":"participant_joined",` + ids + `,`
	for name, c := range map[string]struct {
		body    string
		refused bool
	}{
		"tracks":              {filled(front+room+`},`+person+`,"tracks":[{}`, `]}}`, of(`,{}`)), false},
		"layers of tracks":    {filled(front+room+`},`+person+`,"tracks":[{"layers":[{}`, `]}]}}`, of(`,{}`)), false},
		"publish sources":     {filled(front+room+`},`+person+`,"permission":{"canPublishSources":[1`, `]}}}`, of(`,1`)), false},
		"codecs":              {filled(front+person+`},`+room+`,"enabledCodecs":[{}`, `]}}`, of(`,{}`)), false},
		"egress results":      {filled(front+room+`},`+person+`},"egressInfo":{"fileResults":[{}`, `]}}`, of(`,{}`)), false},
		"an unknown list":     {filled(front+room+`},`+person+`},"x":[{}`, `]}`, of(`,{}`)), false},
		"unknown names":       {filled(front+room+`},`+person+`}`, `}`, func(i int) string { return fmt.Sprintf(`,"%x":0`, i) }), false},
		"escaped names":       {filled(front+room+`},`+person+`}`, `}`, of(`,"\u0061":0`)), false},
		"metadata":            {filled(front+room+`},`+person+`,"metadata":"`, `"}}`, of("x")), false},
		"metadata of escapes": {filled(front+room+`},`+person+`,"metadata":"`, `"}}`, of(`\n`)), false},
		"attributes":          {filled(front+room+`},`+person+`,"attributes":{"":""`, `}}}`, func(i int) string { return fmt.Sprintf(`,"%x":""`, i) }), true},
		"a number of digits":  {filled(front+room+`},`+person+`,"version":1`, `}}`, of("0")), true},
		"deep":                {filled(front+room+`},`+person+`},"x":`, ``, of(`[`)), true},
		"deep in attributes":  {filled(front+room+`},`+person+`,"attributes":`, ``, of(`{"":`)), true},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, known, err := readEvent([]byte(c.body))
			runtime.ReadMemStats(&after)
			if c.refused && !errors.Is(err, ErrMalformed) || !c.refused && (err != nil || !known || e.Participant.SID != "PA_1") {
				t.Errorf("known %v, %v", known, err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > most*MaxBody {
				t.Errorf("reading took %d MiB, more than %d times the body", took>>20, most)
			} else {
				t.Logf("reading took %d MiB", took>>20)
			}
		})
	}
}

// TestTrim leaves what an event is made of, in whatever form JSON allows, and refuses in it what the parser refuses.
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
