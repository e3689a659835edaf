package redisstore

import (
	"strconv"
	"strings"
)

// DefaultPrefix begins every key of ours, unless Options say otherwise.
const DefaultPrefix = "rooms:"

// keys builds and parses key names. With tags all keys of a room share a slot of Redis Cluster.
type keys struct {
	prefix string // begins every key of ours; it has neither braces nor wildcards
	tags   bool
	slots  []string // slotTags on a Redis Cluster; nil on one Redis
}

// allIndex is the index on one Redis: the rooms that have public keys (score 0, so sorted by name). On a Redis Cluster there is one such key for
// each hash slot, rooms:index:{tag}.
func (k keys) allIndex() string   { return k.prefix + "index" }
func (k keys) generation() string { return k.prefix + "generation" }

// epoch returns the key of the highest epoch used in a generation.
func (k keys) epoch(generation uint64) string { return k.prefix + "epoch:" + unsigned(generation) }
func (k keys) allFeed() string                { return k.prefix + "events" }

// drift holds the last repairs.
func (k keys) drift() string { return k.prefix + "drift" }

// recent holds the last changes, if the feed does not have them in one stream.
func (k keys) recent() string { return k.prefix + "recent" }

// every is a pattern that matches all of our keys and nobody else's: it contains no part of a room's name, which could hold wildcards.
func (k keys) every() string { return k.prefix + "*" }

func (k keys) participants(room string) string { return k.prefix + "participants:" + k.name(room) }
func (k keys) states(room string) string       { return k.prefix + "states:" + k.name(room) }
func (k keys) fence(room string) string        { return k.prefix + "fence:" + k.name(room) }

// staged returns a key for a value on its way to a public key.
func (k keys) staged(room string, nonce uint64) string {
	return k.prefix + "staged:" + strconv.FormatUint(nonce, 36) + ":" + k.name(room)
}

func (k keys) timeline(room string) string { return k.prefix + "timeline:" + k.name(room) }

// feed returns the key of the room's stream: one stream for all rooms or, with tags, one for each.
func (k keys) feed(room string) string {
	if !k.tags {
		return k.allFeed()
	}
	return k.allFeed() + ":" + k.name(room)
}

// index returns the key of the index that lists the room. A script may only use keys of one slot, so on a Redis Cluster each slot has its own
// index: the room's commit then writes the index in the same step, and a shard that hangs delays no room of another.
func (k keys) index(room string) string {
	if k.slots == nil {
		return k.allIndex()
	}
	return k.indexOf(slotOf(k.fence(room)))
}

// indexOf returns the key of a slot's index.
func (k keys) indexOf(slot int) string { return k.allIndex() + ":{" + k.slots[slot] + "}" }

// healthOf returns the key by which the health check tries commits to the master of a slot.
func (k keys) healthOf(slot int) string {
	key := k.prefix + "health"
	if k.slots == nil {
		return key
	}
	return key + ":{" + k.slots[slot] + "}"
}

// public returns the two keys that readers see, participants first.
func (k keys) public(room string) []string { return []string{k.participants(room), k.states(room)} }

// name returns the room's part of a key. Redis hashes the text between the first { and the first } after it, but the whole key when that text is
// empty. So with tags a leading } is written %7D, a leading % therefore %25, and the empty name %.
func (k keys) name(room string) string {
	switch {
	case !k.tags:
		return room
	case room == "":
		return "{%}"
	case room[0] == '}':
		return "{%7D" + room[1:] + "}"
	case room[0] == '%':
		return "{%25" + room[1:] + "}"
	}
	return "{" + room + "}"
}

// room is the inverse of participants and states; it returns false for any other key.
func (k keys) room(key string) (string, bool) {
	kind, ours := strings.CutPrefix(key, k.prefix)
	name, ok := strings.CutPrefix(kind, "states:")
	if !ok {
		name, ok = strings.CutPrefix(kind, "participants:")
	}
	if !ok || !ours || !k.tags {
		return name, ok && ours
	}
	if len(name) < 3 || name[0] != '{' || name[len(name)-1] != '}' {
		return "", false
	}
	name = name[1 : len(name)-1]
	switch {
	case name == "%":
		return "", true
	case strings.HasPrefix(name, "%7D"):
		return "}" + name[3:], true
	case strings.HasPrefix(name, "%25"):
		return "%" + name[3:], true
	}
	// name never writes a leading } or any other leading %.
	return name, name[0] != '}' && name[0] != '%'
}
