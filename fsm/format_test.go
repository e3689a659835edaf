package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// newer is a command of the format after this build's.
type newer struct {
	Service bool `json:"service"`
}

func (newer) op() string                         { return "newer" }
func (newer) Format() int                        { return Format + 1 }
func (c newer) apply(s *State, _ uint64) Refusal { s.Stopped = c.Service; return "" }

// TestEverythingSaysTheOldestFormatThatHasIt shows that an older build reads what this one writes until a command of a later format is applied,
// and that nothing after that is mistaken for something that it knows.
func TestEverythingSaysTheOldestFormatThatHasIt(t *testing.T) {
	for _, cmd := range []Command{Found{1}, ClaimLeadership{"n1"}, Join{ID: "n1", HashVersion: HashVersion}, Leave{"n1", 3}, Remove{"n1"}, SetService{true},
		RecordReport{Kind: KindSync, JSON: json.RawMessage("{}")}} {
		data, err := Encode(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if format := entryOf(t, data).Version; format != FirstFormat {
			t.Errorf("%s is of format %d", cmd.op(), format)
		}
	}
	s, _ := State{}.Apply(1, Found{Generation: 7})
	if got := written(t, s); bytes.Contains(got, []byte("format")) || !bytes.HasPrefix(got, []byte(`{"version":2,`)) {
		t.Errorf("the first release does not read %s", got)
	}
	data, err := Encode(newer{})
	if err != nil || entryOf(t, data).Version != Format+1 {
		t.Fatalf("%s, error %v", data, err)
	}
	if _, err := Decode(data); !errors.Is(err, ErrNewer) {
		t.Errorf("the entry is read with %v", err)
	}
	s, _ = s.Apply(2, newer{})
	s, _ = s.Apply(3, SetService{true})
	if s.Format != Format+1 {
		t.Errorf("the state is of format %d", s.Format)
	}
	got := written(t, s)
	if _, err := ReadSnapshot(bytes.NewReader(got)); !errors.Is(err, ErrNewer) {
		t.Errorf("the snapshot %s is read with %v", got, err)
	}
	if _, err := ReadSnapshot(bytes.NewReader(bytes.Replace(got, []byte(`"version":3`), []byte(`"version":2`), 1))); !errors.Is(err, ErrNewer) {
		t.Errorf("a snapshot that names an older format than its state is read with %v", err)
	}
	f := New()
	f.Apply(logOf(t, 1, Found{Generation: 7}))
	if err := f.Restore(io.NopCloser(bytes.NewReader(got))); !errors.Is(err, ErrNewer) || f.State().Generation != 7 {
		t.Errorf("it is restored with %v to %+v", err, f.State())
	}
}

func entryOf(t *testing.T, data []byte) (e entry) {
	t.Helper()
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestAnUnknownHashHasNoOwner shows that a build never chooses an owner by a hash that it does not know: two builds would choose two.
func TestAnUnknownHashHasNoOwner(t *testing.T) {
	for version, want := range map[int]bool{0: false, HashVersion: true, HashVersion + 1: false} {
		if _, ok := Owner(View{Epoch: 1, HashVersion: version, Members: []Member{{ID: "n1"}}}, "room"); ok != want {
			t.Errorf("hash %d has an owner: %t", version, ok)
		}
	}
}
