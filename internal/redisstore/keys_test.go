package redisstore

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func FuzzKeys(f *testing.F) {
	for _, room := range []string{"", "a", "}", "}}", "%", "%7D", "%25", "%257D", "{a}", "a}b", "{", "*", "\x00", "rooms:states:a", "é", strings.Repeat("}", 256)} {
		f.Add(room)
	}
	f.Fuzz(func(t *testing.T, room string) {
		for _, k := range []keys{{prefix: DefaultPrefix}, {prefix: DefaultPrefix, tags: true}, {prefix: "a/b-", tags: true}} {
			for _, key := range k.public(room) {
				if got, ok := k.room(key); !ok || got != room {
					t.Errorf("%+v: %q became %q and that %q, %v", k, room, key, got, ok)
				}
			}
			for _, key := range []string{k.fence(room), k.feed(room), k.timeline(room), k.allIndex(), k.generation(), k.drift(), k.recent(), "x" + k.states(room), strings.TrimPrefix(k.states(room), k.prefix)} {
				if got, ok := k.room(key); ok {
					t.Errorf("%+v: %q reads as a public key of %q", k, key, got)
				}
			}
		}
		k := keys{prefix: DefaultPrefix, tags: true}
		want := slot(k.states(room))
		if tag(k.states(room)) == "" {
			t.Errorf("%q has an empty tag", k.states(room))
		}
		for _, key := range []string{k.participants(room), k.fence(room), k.feed(room), k.timeline(room)} {
			if slot(key) != want {
				t.Errorf("%q and %q are on different slots", key, k.states(room))
			}
		}
	})
}

func TestNoTwoRoomsShareAKey(t *testing.T) {
	const letters = "}%7D25{a:"
	for _, k := range []keys{{prefix: DefaultPrefix}, {prefix: DefaultPrefix, tags: true}} {
		owner := map[string]string{}
		for range 20000 {
			var b strings.Builder
			for range rand.IntN(6) {
				b.WriteByte(letters[rand.IntN(len(letters))])
			}
			room := b.String()
			for _, key := range append(k.public(room), k.fence(room), k.timeline(room)) {
				if other, taken := owner[key]; taken && other != room {
					t.Fatalf("%+v: %q belongs to %q and to %q", k, key, room, other)
				}
				owner[key] = room
			}
		}
	}
}

func TestKeysThatNobodyWrites(t *testing.T) {
	k := keys{prefix: DefaultPrefix, tags: true}
	for _, name := range []string{"", "a", "{", "}", "{}", "{a", "a}", "{}a}", "{%}x", "{%41}"} {
		if room, ok := k.room(k.staged("states:"+name, 7)); ok {
			t.Errorf("the staged state of %q is one of %q", name, room)
		}
		if room, ok := k.room("rooms:states:" + name); ok {
			t.Errorf("%q reads as room %q", "rooms:states:"+name, room)
		}
	}
}

// tag returns the part of a key that Redis Cluster hashes, by its specification: the text between the first { and the first } after it; "" means
// the whole key.
func tag(key string) string {
	_, rest, ok := strings.Cut(key, "{")
	if !ok {
		return ""
	}
	inner, _, ok := strings.Cut(rest, "}")
	if !ok {
		return ""
	}
	return inner
}

func slot(key string) string {
	if inner := tag(key); inner != "" {
		return inner
	}
	return key
}
