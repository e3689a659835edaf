package e2e

import (
	"maps"
	"slices"
	"strings"
)

// ourPublic reports whether a key is one that readers see: rooms, feed, indexes, generation. Fences are excluded, because a claim
// may write them.
func ourPublic(key string) bool {
	return strings.HasPrefix(key, "rooms:") && !strings.HasPrefix(key, "rooms:fence:")
}

// unchanged compares the keys with an earlier moment.
func (w *world) unchanged(before map[string]string, by string) {
	w.t.Helper()
	now := w.dumps(ourPublic)
	for key, value := range before {
		if now[key] != value {
			w.t.Errorf("%s changed %q: %q, was %q", by, key, contents(w.ctx(), w.redis.Client(), key), value)
		}
	}
	if len(now) != len(before) {
		w.t.Errorf("%s: the keys were %d and are %d: %v", by, len(before), len(now), slices.Sorted(maps.Keys(now)))
	}
}
