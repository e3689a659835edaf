package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/reconcile"
)

func logOf(t *testing.T, index uint64, cmd Command) *raft.Log {
	t.Helper()
	data, err := Encode(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Term: 4, Data: data}
}

type sink struct {
	bytes.Buffer
	closed, cancelled bool
}

func (*sink) ID() string      { return "test" }
func (s *sink) Close() error  { s.closed = true; return nil }
func (s *sink) Cancel() error { s.cancelled = true; return nil }

func TestFSMSnapshotRestore(t *testing.T) {
	f := New()
	changed := f.Changed()
	res, ok := f.Apply(logOf(t, 3, ClaimLeadership{ID: "n1"})).(Result)
	if !ok || res.Index != 3 || res.Term != 4 || res.Token.Index != 3 {
		t.Fatalf("claim gave %+v", res)
	}
	select {
	case <-changed:
	default:
		t.Fatal("Changed was not closed by the change")
	}
	f.Apply(logOf(t, 4, Found{Generation: 7}))
	f.Apply(logOf(t, 5, SetService{Running: false}))
	f.Apply(logOf(t, 6, RecordReport{Kind: KindSync, Token: reconcile.Token{Generation: 7, Index: 3}, JSON: json.RawMessage(`{"a":[1]}`)}))
	snap, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	f.Apply(logOf(t, 7, SetService{Running: true}))
	var s sink
	if err := snap.Persist(&s); err != nil || !s.closed {
		t.Fatalf("persist: %v, closed %v", err, s.closed)
	}
	snap.Release()
	g := New()
	if err := g.Restore(io.NopCloser(&s)); err != nil {
		t.Fatal(err)
	}
	st := g.State()
	if st.Applied != 6 || st.Running() || st.Generation != 7 || string(st.Reports[KindSync].JSON) != `{"a":[1]}` {
		t.Fatalf("restored %+v", st)
	}
}

func TestFSMStopsAtWhatItCannotRead(t *testing.T) {
	tests := []struct {
		name, data string
		want       error
	}{
		{"newer format", `{"v":2,"op":"claim","args":{"id":"n1"}}`, ErrNewer},
		{"unknown command", `{"v":1,"op":"dance","args":{}}`, ErrNewer},
		{"unknown field", `{"v":1,"op":"claim","args":{"id":"n1","more":1}}`, ErrCorrupt},
		{"not JSON", "\x00", ErrCorrupt},
		{"no format", `{}`, ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := New()
			f.Apply(logOf(t, 1, Found{Generation: 7}))
			err, _ := f.Apply(&raft.Log{Index: 2, Data: []byte(tt.data)}).(error)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err, _ := f.Apply(logOf(t, 3, SetService{})).(error); !errors.Is(err, tt.want) {
				t.Fatalf("the entry after it was applied: %v", err)
			}
			if _, err := f.Snapshot(); !errors.Is(err, tt.want) || !errors.Is(f.Err(), tt.want) {
				t.Fatalf("snapshot: %v, Err: %v", err, f.Err())
			}
			if f.State().Applied != 1 {
				t.Fatalf("the state went on to %d", f.State().Applied)
			}
			select {
			case <-f.Broken():
			default:
				t.Fatal("Broken is still open")
			}
		})
	}
}

func TestReadSnapshotRefuses(t *testing.T) {
	tests := []struct {
		name, data string
		want       error
	}{
		{"newer", `{"version":3,"state":{"whatever":1}}`, ErrNewer},
		{"unknown field", `{"version":2,"state":{"whatever":1}}`, ErrCorrupt},
		{"cut short", `{"version":1,"sta`, ErrCorrupt},
		{"empty", ``, ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := New()
			f.Apply(logOf(t, 1, Found{Generation: 7}))
			if err := f.Restore(io.NopCloser(strings.NewReader(tt.data))); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if f.State().Generation != 7 {
				t.Fatal("a failed restore lost the state")
			}
		})
	}
}

func TestEncodeRefusesABrokenReport(t *testing.T) {
	if _, err := Encode(RecordReport{Kind: KindSync, JSON: json.RawMessage(`{"`)}); err == nil {
		t.Fatal("a report that is not JSON was encoded")
	}
}

// fullSink is a snapshot sink on a disk without room.
type fullSink struct{ cancelled bool }

func (s *fullSink) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
func (s *fullSink) Close() error              { return nil }
func (s *fullSink) ID() string                { return "full" }
func (s *fullSink) Cancel() error             { s.cancelled = true; return nil }

// TestASnapshotThatCannotBeWrittenIsCancelled checks that half a snapshot is not left for the next start.
func TestASnapshotThatCannotBeWrittenIsCancelled(t *testing.T) {
	snapshot, err := New().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	sink := &fullSink{}
	if err := snapshot.Persist(sink); err == nil || !sink.cancelled {
		t.Errorf("error %v, cancelled: %v", err, sink.cancelled)
	}
}

func TestViewEndsWithTheNextView(t *testing.T) {
	f := New()
	first := f.View()
	f.Apply(logOf(t, 1, Found{Generation: 7}))
	early := first.Err()
	f.Apply(logOf(t, 2, Join{ID: "n1", HashVersion: 1}))
	second := f.View()
	f.Apply(logOf(t, 3, SetService{Running: false}))
	if early != nil || first.Err() == nil || second.Err() != nil || f.View() != second {
		t.Errorf("before its end the first view ended: %v; then: %v; the second: %v, and it is the last: %v", early, first.Err(), second.Err(), f.View() == second)
	}
}

func TestValidNodeID(t *testing.T) {
	for id, want := range map[string]bool{"n1": true, "a.b-c_d": true, strings.Repeat("n", 64): true, strings.Repeat("n", 65): false, "": false, "-n": false,
		"n 1": false, "ä": false} {
		if ValidNodeID(id) != want {
			t.Errorf("%q: %v, want %v", id, !want, want)
		}
	}
}
