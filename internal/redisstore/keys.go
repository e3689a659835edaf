package redisstore

import "strings"

// Keys that belong to no room. rooms:index holds the rooms that have public keys (score 0, so sorted by name); on a Redis Cluster there is one
// such key for each hash slot, rooms:index:{tag}. rooms:drift holds the last repairs. rooms:recent holds the last changes, if the feed does not
// have them in one stream. rooms:health is written to check whether commits go through.
const (
	indexKey      = "rooms:index"
	generationKey = "rooms:generation"
	// epochPrefix followed by a generation is the key of the highest epoch used in that generation.
	epochPrefix = "rooms:epoch:"
	feedKey     = "rooms:events"
	driftKey    = "rooms:drift"
	recentKey   = "rooms:recent"
	healthKey   = "rooms:health" // with a tag for each shard of a Cluster

	// everyKey matches all of our keys and nobody else's: it contains no part of a room's name, which could hold wildcards.
	everyKey = "rooms:*"

	participantsPrefix = "rooms:participants:"
	statesPrefix       = "rooms:states:"
	fencePrefix        = "rooms:fence:"
	feedPrefix         = "rooms:events:"
	timelinePrefix     = "rooms:timeline:"
	indexPrefix        = "rooms:index:"
)

// keys builds and parses key names. With tags all keys of a room share a slot of Redis Cluster.
type keys struct {
	tags  bool
	slots []string // slotTags on a Redis Cluster; nil on one Redis
}

func (k keys) participants(room string) string { return participantsPrefix + k.name(room) }
func (k keys) states(room string) string       { return statesPrefix + k.name(room) }
func (k keys) fence(room string) string        { return fencePrefix + k.name(room) }
func (k keys) timeline(room string) string     { return timelinePrefix + k.name(room) }

// feed returns the key of the room's stream: one stream for all rooms or, with tags, one for each.
func (k keys) feed(room string) string {
	if !k.tags {
		return feedKey
	}
	return feedPrefix + k.name(room)
}

// index returns the key of the index that lists the room. A script may only use keys of one slot, so on a Redis Cluster each slot has its own
// index: the room's commit then writes the index in the same step, and a shard that hangs delays no room of another.
func (k keys) index(room string) string {
	if k.slots == nil {
		return indexKey
	}
	return k.indexOf(slotOf(k.fence(room)))
}

// indexOf returns the key of a slot's index.
func (k keys) indexOf(slot int) string { return indexPrefix + "{" + k.slots[slot] + "}" }

// healthOf returns the key by which the health check tries commits to the master of a slot.
func (k keys) healthOf(slot int) string {
	if k.slots == nil {
		return healthKey
	}
	return healthKey + ":{" + k.slots[slot] + "}"
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
	name, ok := strings.CutPrefix(key, statesPrefix)
	if !ok {
		name, ok = strings.CutPrefix(key, participantsPrefix)
	}
	if !ok || !k.tags {
		return name, ok
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
