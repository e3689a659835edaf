package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/reconcile"
)

// seedEntries returns one log entry of each command, in an order in which none is refused.
func seedEntries(t testing.TB) (entries [][]byte) {
	t.Helper()
	for _, cmd := range []Command{Found{Generation: 1}, ClaimLeadership{ID: "a"}, Join{ID: "a", HashVersion: 1}, Join{ID: "b", HashVersion: 2},
		SetService{}, RecordReport{Kind: KindSync, Token: reconcile.Token{Generation: 1, Index: 2}, JSON: []byte(`{"n":1}`)}, CountCycle(reconcile.Token{Generation: 1, Index: 2}, Count{At: 5, Spacing: 3}),
		Leave{ID: "b", Incarnation: 4}, Remove{ID: "a"}} {
		data, err := Encode(cmd)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, data)
	}
	return entries
}

// unreadable reports whether err is one of the two errors of a reader.
func unreadable(err error) bool { return errors.Is(err, ErrNewer) != errors.Is(err, ErrCorrupt) }

// FuzzDecode decodes log entries. An entry that can be decoded stays the same command when it is encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, entry := range seedEntries(f) {
		f.Add(entry)
	}
	f.Add([]byte(`{"v":2,"op":"join","args":{}}`))
	f.Add([]byte(`{"v":1,"op":"join","args":{"id":"a","zone":1}}`))
	f.Add([]byte(`{"v":1,"op":"found","args":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := Decode(data)
		if err != nil {
			if cmd != nil || !unreadable(err) {
				t.Fatalf("%v, %v", cmd, err)
			}
			return
		}
		if bytes.Contains(data, []byte(`"args":null`)) {
			t.Fatalf("%s is read as %+v", data, cmd)
		}
		written, err := Encode(cmd)
		if err != nil {
			t.Fatalf("%+v cannot be written again: %v", cmd, err)
		}
		again, err := Decode(written)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", written, err)
		}
		if twice, err := Encode(again); err != nil || !bytes.Equal(written, twice) {
			t.Fatalf("%s became %s, %v", written, twice, err)
		}
	})
}

// FuzzSnapshot reads snapshots. A snapshot that can be read stays the same state when it is written and read again, and the log
// continues from it.
func FuzzSnapshot(f *testing.F) {
	entries := seedEntries(f)
	one := New()
	for i, entry := range entries {
		one.Apply(&raft.Log{Index: uint64(i + 1), Data: entry})
		f.Add(snapshotOf(f, one.State()))
	}
	f.Add([]byte(`{"version":3,"state":{}}`))
	f.Add([]byte(`{"version":1,"state":{"applied":1,"view":{"members":[{"id":"b"},{"id":"a"}]}}}`))
	f.Add([]byte(`{"version":2,"state":null}`))
	f.Add([]byte(`{"state":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		restored := New()
		if err := restored.Restore(io.NopCloser(bytes.NewReader(data))); err != nil {
			if !unreadable(err) || !errors.Is(restored.Err(), err) || restored.State().Applied != 0 {
				t.Fatalf("%v leaves %v and %+v", err, restored.Err(), restored.State())
			}
			return
		}
		var file snapshotFile
		if err := json.Unmarshal(data, &file); err != nil || file.Version < 1 || bytes.Equal(file.State, []byte("null")) {
			t.Fatalf("%s is read as a state", data)
		}
		before := snapshotOf(t, restored.State())
		again, err := ReadSnapshot(bytes.NewReader(before))
		if err != nil || !bytes.Equal(before, snapshotOf(t, again)) {
			t.Fatalf("%s became %s, %v", before, snapshotOf(t, again), err)
		}
		for i, entry := range entries {
			restored.Apply(&raft.Log{Index: again.Applied + uint64(i) + 1, Data: entry})
		}
		if err := restored.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

func snapshotOf(t testing.TB, s State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSnapshot(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReplay applies a log with one entry per line. Two nodes, one of which is restored from a snapshot on the way, get the same state.
// The first entry that cannot be read stops both.
func FuzzReplay(f *testing.F) {
	entries := seedEntries(f)
	f.Add(bytes.Join(entries, []byte("\n")), uint8(4))
	f.Add(bytes.Join(append(slices.Clone(entries[:4]), []byte("{"), entries[4]), []byte("\n")), uint8(2))
	f.Add(bytes.Join([][]byte{entries[0], []byte(`{"v":1,"op":"join","args":{"id":"","hashVersion":1}}`), entries[3], entries[2], entries[3]}, []byte("\n")), uint8(1))
	f.Add([]byte(`{"v":1,"op":"found","args":{"generation":5}}`+"\n"+string(entries[0])), uint8(0))
	f.Fuzz(func(t *testing.T, log []byte, at uint8) {
		whole, restored := New(), New()
		for i, entry := range bytes.Split(log, []byte("\n")) {
			if i == int(at) && whole.Err() == nil {
				snapshot := snapshotOf(t, whole.State())
				restored = New()
				if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshot))); err != nil {
					t.Fatal(err)
				}
			}
			before := whole.State()
			index := uint64(i + 1)
			whole.Apply(&raft.Log{Index: index, Data: entry})
			restored.Apply(&raft.Log{Index: index, Data: entry})
			if (whole.Err() == nil) != (restored.Err() == nil) || whole.Err() != nil && whole.State().Applied != before.Applied {
				t.Fatalf("entry %d: %v and %v, applied %d", index, whole.Err(), restored.Err(), whole.State().Applied)
			}
			checkState(t, before, whole.State())
		}
		if a, b := snapshotOf(t, whole.State()), snapshotOf(t, restored.State()); !bytes.Equal(a, b) {
			t.Fatalf("replayed: %s\nrestored: %s", a, b)
		}
	})
}

// checkState checks what holds for every state that a log can produce.
func checkState(t *testing.T, before, s State) {
	t.Helper()
	if s.Applied < before.Applied || s.Generation < before.Generation || s.View.Epoch < before.View.Epoch || s.Token().Compare(before.Token()) < 0 {
		t.Fatalf("%+v went back to %+v", before, s)
	}
	if s.View.Epoch > s.Applied || len(s.Past) > pastViews {
		t.Fatalf("epoch %d at index %d, %d past views", s.View.Epoch, s.Applied, len(s.Past))
	}
	for i, m := range s.View.Members {
		if m.ID == "" || i > 0 && s.View.Members[i-1].ID >= m.ID || m.HashVersion < s.View.HashVersion || s.Removed[m.ID] != 0 {
			t.Fatalf("member %d of %+v", i, s)
		}
	}
	for kind, r := range s.Reports {
		if len(r.JSON) > MaxReportBytes || r.Token.Compare(s.Token()) > 0 {
			t.Fatalf("report %q: %+v", kind, r)
		}
	}
}
