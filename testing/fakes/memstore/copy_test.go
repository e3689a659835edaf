package memstore_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// TestAShardIsSetBackAlone checks that the selected rooms' keys, index entries and feeds go back, and nothing else.
func TestAShardIsSetBackAlone(t *testing.T) {
	var told []memstore.Script
	s := memstore.New(memstore.Options{Feed: true, Watch: func(s memstore.Script) { told = append(told, s) }})
	own := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	write := func(room string) {
		t.Helper()
		rec, err := s.Claim(t.Context(), room, own)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), reconcile.Commit{Room: room, Claim: own, Expect: rec.Version, Version: rec.Version + 1, Public: reconcile.Write,
			State: &reconcile.State{Version: rec.Version + 1}, Changes: []reconcile.Change{{Type: reconcile.RoomUpdated}}}); err != nil {
			t.Fatal(err)
		}
	}
	write("here")
	write("there")
	copied := s.Copy()
	for _, room := range []string{"here", "there", "here too", "there too"} {
		write(room)
	}
	told = nil
	s.SetBackSome(copied, func(room string) bool { return room == "here" || room == "here too" })
	index, _ := s.Index(t.Context())
	if want := []string{"here", "there", "there too"}; !slices.Equal(index, want) {
		t.Errorf("the index has %q, want %q", index, want)
	}
	var feed []string
	for _, e := range s.Feed() {
		feed = append(feed, e["room"]+" "+e["version"])
	}
	if want := []string{"here 1", "there 1", "there 2", "there too 1"}; !slices.Equal(feed, want) {
		t.Errorf("the feed has %q, want %q", feed, want)
	}
	back := map[string]uint64{}
	for _, script := range told {
		back[script.Room] = script.Back.Version
	}
	if len(back) != 2 || back["here"] != 1 || back["here too"] != 0 {
		t.Errorf("told of %v", back)
	}
	if rec, err := s.Claim(t.Context(), "here", own); err != nil || rec.Version != 1 {
		t.Errorf("version %d, %v", rec.Version, err)
	}
}

func TestAnIndexWithoutAShard(t *testing.T) {
	s := &memstore.Faulty{Store: memstore.New(memstore.Options{}), Order: func(memstore.Op, string) memstore.Fault {
		return memstore.Fault{Without: func(room string) bool { return room == "a" }}
	}}
	for _, room := range []string{"a", "b"} {
		s.Set(memstore.Participants, room, "[]")
	}
	if err := s.Reindex(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if names, next, err := s.Rooms(t.Context(), "", 10, ""); !slices.Equal(names, []string{"b"}) || next != "" || !errors.Is(err, reconcile.ErrIncomplete) {
		t.Errorf("%q, %q, %v", names, next, err)
	}
}

func TestEpochs(t *testing.T) {
	s := memstore.New(memstore.Options{})
	for _, epoch := range []uint64{3, 7, 5} {
		if err := s.RaiseEpoch(t.Context(), 2, epoch); err != nil {
			t.Fatal(err)
		}
	}
	copied := s.Copy()
	s.Flush()
	if e, err := s.Epoch(t.Context(), 2); e != 0 || err != nil {
		t.Errorf("epoch %d after a loss, %v", e, err)
	}
	s.SetBack(copied)
	if e, err := s.Epoch(t.Context(), 2); e != 7 || err != nil {
		t.Errorf("epoch %d, %v", e, err)
	}
	own := reconcile.Claim{Generation: 2, Epoch: 7, Incarnation: 1}
	if _, err := s.Claim(t.Context(), "a", own); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Claimed(t.Context(), "a"); c != own || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}
