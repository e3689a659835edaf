//go:build !race

package livekit

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rollcallhq/rollcall/reconcile"
)

// The race detector multiplies memory use, and slows down these tests the most because they allocate a lot: make test runs them without it.

// TestMemoryOfReading reads lists of 16 MiB with as many entries as possible. All memory that is allocated, kept or not, may be a small multiple
// of the list.
func TestMemoryOfReading(t *testing.T) {
	const size = 16 << 20
	texts := func(num ...protowire.Number) func(i int) []byte {
		return func(i int) (entry []byte) {
			for _, n := range num {
				entry = protowire.AppendString(protowire.AppendTag(entry, n, protowire.BytesType), fmt.Sprintf("%x", i))
			}
			return entry
		}
	}
	named := func(list *reconcile.RoomList) entries { return newNamedRooms([]string{"1", "2"}, list, nil) }
	for name, c := range map[string]struct {
		entry func(i int) []byte
		take  entries
		most  uint64 // as a multiple of the list's size
	}{
		"rooms of nothing":    {texts(), &roomNames{list: new(reconcile.RoomNames), limit: limit{most: maxKept}}, 1},
		"rooms of a name":     {texts(roomName), &roomNames{list: new(reconcile.RoomNames), limit: limit{most: maxKept}}, 3},
		"rooms":               {texts(roomSID, roomName), &roomNames{list: new(reconcile.RoomNames), limit: limit{most: maxKept}}, 3},
		"other rooms":         {texts(roomSID, roomName), named(new(reconcile.RoomList)), 3},
		"participants":        {texts(), &people{list: new(reconcile.ParticipantList), limit: limit{most: maxKept}}, 1},
		"faulty participants": {texts(personMetadata), &people{list: new(reconcile.ParticipantList), limit: limit{most: maxKept}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var list []byte
			for i := 0; len(list) < size; i++ {
				list = protowire.AppendBytes(protowire.AppendTag(list, entryField, protowire.BytesType), c.entry(i))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := readEntries(bytes.NewReader(list), c.take.take)
			runtime.ReadMemStats(&after)
			if err != nil && !errors.Is(err, errTooLarge) {
				t.Fatal(err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > c.most*size {
				t.Errorf("reading took %d MiB, more than %d times the list", took>>20, c.most)
			}
		})
	}
}

// TestMemoryOfDecoding reads bodies of the largest size with as many small parts as possible. All memory that is allocated may be a small
// multiple of the body.
func TestMemoryOfDecoding(t *testing.T) {
	const most = 6 // as a multiple of the body's size
	filled := func(front, back string, unit func(i int) string) string {
		var b strings.Builder
		for b.WriteString(front); b.Len() < reconcile.MaxWebhookBytes-len(back)-32; {
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
		// The libraries read what the fast reader leaves to them, such as an escape.
		for by, body := range map[string]string{"the fast reader": c.body, "the libraries": strings.Replace(c.body, `"PA_1"`, `"\u0050A_1"`, 1)} {
			t.Run(name+" by "+by, func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				e, known, err := readEvent([]byte(body))
				runtime.ReadMemStats(&after)
				if c.refused && !errors.Is(err, ErrMalformed) || !c.refused && (err != nil || !known || e.Participant.SID != "PA_1") {
					t.Errorf("known %v, %v", known, err)
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > most*reconcile.MaxWebhookBytes {
					t.Errorf("reading took %d MiB, more than %d times the body", took>>20, most)
				} else {
					t.Logf("reading took %d MiB", took>>20)
				}
			})
		}
	}
}

// TestMemoryOfAList reads 16 MB of the smallest rooms, which would take gigabytes if each became a message.
func TestMemoryOfAList(t *testing.T) {
	small := wire(t, []byte{})
	for what, entry := range map[string][]byte{"without a name": small, "of one name": wire(t, &livekit.Room{Name: "r", Sid: "s", CreationTime: 1})} {
		list := bytes.Repeat(entry, 16<<20/len(entry))
		var before, after runtime.MemStats
		peak := uint64(0)
		kept := &namedRooms{}
		var out reconcile.RoomList
		*kept = *newNamedRooms([]string{"r"}, &out, nil)
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := 0
		err := readEntries(bytes.NewReader(list), func(entry []byte, whole bool) error {
			if n++; n%500_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&after)
				peak = max(peak, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
			}
			return kept.take(entry, whole)
		})
		if err != nil && !errors.Is(err, errTooLarge) || peak > 100<<20 {
			t.Errorf("%d rooms %s: %d MB at the most, %v", n, what, peak>>20, err)
		}
	}
}
