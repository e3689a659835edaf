package redisstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcallhq/rollcall/reconcile"
)

// replyOf turns JSON into a script's reply as the client returns it: lists, strings and whole numbers.
func replyOf(data []byte) (reply []any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return reply, d.Decode(&reply) == nil && whole(reply)
}

func whole(list []any) bool {
	for i, v := range list {
		switch v := v.(type) {
		case []any:
			if !whole(v) {
				return false
			}
		case json.Number:
			n, err := v.Int64()
			if list[i] = n; err != nil {
				return false
			}
		case string, nil:
		default:
			return false
		}
	}
	return true
}

// FuzzClaimReply parses replies of the claim script. A record is unaltered only if both public values match its digests, and a field that others
// wrote does not affect the other fields.
func FuzzClaimReply(f *testing.F) {
	s := &Store{kinds: reconcile.Kinds{"STANDARD": true}}
	state := &reconcile.State{SID: "RM", Version: 3, Roster: []*reconcile.Member{reconcile.NewMember(reconcile.Participant{Identity: "ada", SID: "PA"})}}
	seed := func(participants, states any, fields ...any) {
		data, err := json.Marshal([]any{fields, "string", participants, "string", states, "1795399866"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	value, present := string(state.JSON("r")), string(state.Present(s.kinds))
	seed(present, value, "version", "3", "sid", "RM", "t:PA_0", "5:4:1:alan:smith", "dp", digest([]byte(present)), "ds", digest([]byte(value)))
	seed(present, value, "version", "-3", "t:PA_0", "5:x:1:alan", "t:", "", "created", "99999999999999999999", "odd")
	f.Add([]byte(`[["ds","x"],"none",null,"none",null,"5"]`))
	f.Add([]byte(`[[1,["a"],null],"hash",null,"string","{}",7]`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, ok := replyOf(data)
		if !ok {
			return
		}
		c := reconcile.Claim{Generation: 1, Epoch: 2, Incarnation: 3}
		rec, err := s.record("r", c, reply)
		if err != nil {
			if !reflect.DeepEqual(rec, reconcile.Record{}) {
				t.Fatalf("%v, and a record: %+v", err, rec)
			}
			return
		}
		flat, _ := reply[0].([]any)
		if rec.Room != "r" || rec.Claim != c || len(rec.Tombstones) > len(flat)/2 {
			t.Fatalf("%+v", rec)
		}
		absent := text(reply[1]) == "none" && text(reply[3]) == "none"
		if (rec.State == nil) != absent {
			t.Fatalf("%q and %q give the state %+v", reply[1], reply[3], rec.State)
		}
		if !absent && !rec.Altered && (string(rec.State.Present(s.kinds)) != text(reply[2]) || text(reply[3]) != "string" ||
			!slices.Contains(flat, any(digest([]byte(text(reply[4])))))) {
			t.Fatalf("altered, and not noticed: %s", data)
		}
		for sid, tombstone := range rec.Tombstones {
			if tombstone.SID != sid || tombstone.Looked && tombstone.Migrated {
				t.Fatalf("%q: %+v", sid, tombstone)
			}
		}
		reply[0] = append([]any{"t:stranger", "1:2:3", "other", nil}, flat...)
		if again, err := s.record("r", c, reply); err != nil || rec.Tombstones["stranger"] == (reconcile.Tombstone{}) && !cmp.Equal(rec, again, cmp.AllowUnexported(reconcile.Member{})) {
			t.Fatalf("with a field of others: %v\n%+v\n%+v", err, rec, again)
		}
	})
}

// FuzzChanges parses replies of the changes script. The data of each change is valid JSON and bounded, and an entry that others wrote does not
// affect the other entries.
func FuzzChanges(f *testing.F) {
	f.Add([]byte(`["1795399866000","5-1",1,3,99,0,"5-1",["room","r","type","participant_joined","data","{\"a\":1}","version","7","time","x"],"5-2",["data","{"]]`))
	f.Add([]byte(`["1","0-0",0,0,0,0]`))
	f.Add([]byte(`["1","5-0",0,1,1,0,"5-0",["room",5,"data"]]`))
	f.Add([]byte(`[1,null,"x"]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, ok := replyOf(data)
		if !ok {
			return
		}
		p, err := partOf(reply)
		if err != nil {
			return
		}
		if p.Last == "" || 2*len(p.Changes) != len(reply)-6 {
			t.Fatalf("%s is read as %+v", data, p)
		}
		for _, c := range p.Changes {
			if !json.Valid(c.Data) || len(c.Data) > reconcile.MaxWebhookBytes {
				t.Fatalf("%s: the data of %+v", data, c)
			}
			if out, err := json.Marshal(c); err != nil {
				t.Fatalf("%+v cannot be written: %s, %v", c, out, err)
			}
		}
		again, err := partOf(append(reply, nil, []any{"data", int64(5), nil}))
		if err != nil || len(again.Changes) != len(p.Changes)+1 || !cmp.Equal(p.Changes, again.Changes[:len(p.Changes)]) && len(p.Changes) > 0 {
			t.Fatalf("with an entry of others: %v\n%+v\n%+v", err, p, again)
		}
	})
}

// FuzzTimelineEntry parses a timeline entry between two of ours. Both are kept, and an entry that was parsed stays the same when it is written
// and parsed again.
func FuzzTimelineEntry(f *testing.F) {
	ours := reconcile.TimelineEntry{Time: 1, Type: reconcile.ParticipantLeft, Identity: "\"<\u2028", SID: "PA", Disconnect: "X", JoinedAt: 2, LeftAt: 3}
	own := string(appendPacked(nil, &ours))
	f.Add(own)
	f.Add(`[1,"room_updated","","",null,"x","",18446744073709551615,0,0,"n",{},5,6,7]`)
	f.Add(`[5]`)
	f.Add(`{"type":"x"}`)
	f.Fuzz(func(t *testing.T, value string) {
		entries := timelineOf([]string{own, value, own})
		if n := len(entries); n < 2 || n > 3 || entries[0] != ours || entries[n-1] != ours {
			t.Fatalf("%q spoils others: %+v", value, entries)
		}
		if len(entries) == 2 {
			return
		}
		e := entries[1]
		if e.Type != reconcile.ParticipantLeft {
			e.Disconnect, e.JoinedAt, e.LeftAt = "", 0, 0
		}
		if again := timelineOf([]string{string(appendPacked(nil, &e))}); len(again) != 1 || again[0] != e || e.Type == "" {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}

// FuzzDriftEntry parses entries of rooms:drift, as FuzzTimelineEntry does for a timeline.
func FuzzDriftEntry(f *testing.F) {
	ours := reconcile.DriftEntry{Time: 1, Room: "r", Reason: reconcile.Ghost, Identity: "ada"}
	own, err := json.Marshal(ours)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(own))
	f.Add(`{"reason":5}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, value string) {
		entries := driftOf([]string{string(own), value, string(own)})
		if n := len(entries); n < 2 || n > 3 || entries[0] != ours || entries[n-1] != ours {
			t.Fatalf("%q spoils others: %+v", value, entries)
		}
		if out, err := json.Marshal(entries[1]); err != nil || !cmp.Equal(driftOf([]string{string(out)}), entries[1:2]) {
			t.Fatalf("%+v became %s, %v", entries[1], out, err)
		}
	})
}

// FuzzMatching compares the count of an array's elements with a parser that keeps them all.
func FuzzMatching(f *testing.F) {
	for _, value := range []string{`[]`, `[1,[2,3],{"a":[4]},"]"]`, `[1,]`, `[1] x`, `null`, `{"a":1}`, ` [ null ] `} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var all []json.RawMessage
		if json.Unmarshal(value, &all) != nil {
			all = nil
		}
		if n := elements(value); n != int64(len(all)) {
			t.Fatalf("%s has %d elements, and not %d", value, len(all), n)
		}
	})
}

// redisError is what the client makes of an error reply.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// FuzzServerReplies parses what a server says about itself: in reply to HELLO and INFO, and in errors.
func FuzzServerReplies(f *testing.F) {
	f.Add("mode", "cluster", "# Memory\r\nmaxmemory_policy:noeviction\r\nx:1\r\n")
	f.Add("mode", "", "maxmemory_policy:")
	f.Add("x", "standalone", "xmaxmemory_policy:a\nREADONLY You can't write against a read only replica.")
	f.Add("mode", "sentinel", "NOPERM this user has no permissions")
	f.Fuzz(func(t *testing.T, name, value, said string) {
		want := ""
		if name == "mode" {
			want = value
		}
		if a, b := modeOf([]any{int64(1), nil, name, value, name}), modeOf(map[any]any{name: value, "x": nil}); a != want || b != want && name != "x" {
			t.Fatalf("%q in a list and %q in a map, want %q", a, b, want)
		}
		if policy := policyOf(said); strings.ContainsAny(policy, "\r\n") && strings.Contains(policy, "\n") || len(policy) > len(said) || !strings.Contains(said, policy) {
			t.Fatalf("%q has the policy %q", said, policy)
		}
		err := explain(redisError(said))
		if !errors.Is(err, redisError(said)) || !strings.HasPrefix(err.Error(), "redis: ") && !errors.Is(err, ErrDenied) && !errors.Is(err, ErrClusterNode) || !alike(err, err) {
			t.Fatalf("%q is explained as %q", said, err)
		}
	})
}

// FuzzCursor pages through a list of rooms, with a search: each matching name comes once, in order. A cursor that we did not issue is refused or
// starts somewhere in the list.
func FuzzCursor(f *testing.F) {
	f.Add("a,b,B,ab,\xff,", "b", uint8(1), "(b")
	f.Add("a", "", uint8(0), "-")
	f.Add("", "x", uint8(3), "(\x00")
	f.Fuzz(func(t *testing.T, list, search string, limit uint8, cursor string) {
		names := strings.Split(list, ",")
		slices.Sort(names)
		names = slices.Compact(names)
		l, most, search := &listing{names: names}, max(int(limit), 1), strings.ToLower(search)
		var want, got []string
		for _, name := range names {
			if strings.Contains(strings.ToLower(name), search) {
				want = append(want, name)
			}
		}
		for from, pages := "-", 0; from != ""; pages++ {
			page, next := l.page(from, most, search)
			if len(page) > most || pages > len(names) {
				t.Fatalf("page %d from %q: %q", pages, from, page)
			}
			got, from = append(got, page...), next
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		if page, _ := l.page(cursor, len(names)+1, search); len(page) > len(want) || !slices.Equal(page, want[len(want)-len(page):]) {
			t.Fatalf("from %q: %q of %q", cursor, page, want)
		}
	})
}

// FuzzStreamID parses ids of changes as clients send them: an accepted id is two numbers as Redis writes them.
func FuzzStreamID(f *testing.F) {
	for _, id := range []string{"0-0", newestID, "01-1", "1", "1-", "-1", "1-1-1", "+1-1", "18446744073709551616-0"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		ms, n, _ := strings.Cut(id, "-")
		digits := func(s string) bool {
			return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == "" && (s == "0" || s[0] != '0') && (len(s) < 20 || s <= "18446744073709551615")
		}
		if got, want := streamID(id), strings.Contains(id, "-") && digits(ms) && digits(n); got != want {
			t.Fatalf("%q: %v, want %v", id, got, want)
		}
	})
}

// TestHealthNamesTheSilence checks that the reason, which /readyz gives, tells a Redis that does not answer from one that refuses.
func TestHealthNamesTheSilence(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"Redis does not answer: dial: refused": fmt.Errorf("dial: %w", errors.New("refused")),
		"Redis does not answer within ":        fmt.Errorf("read: %w", context.DeadlineExceeded),
		"redis: a try to commit: WHAT ":        redisError("WHAT is this"),
	} {
		if got := explain(err); !strings.HasPrefix(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %q", err, got, want)
		}
	}
}
