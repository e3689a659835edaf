package redisstore

import "strings"

// The keys that no room owns. rooms:index are the rooms with public keys (score 0, so by name); on a Redis Cluster there is one
// such key for each hash slot, rooms:index:{tag}. rooms:drift are the last repairs; rooms:recent are the last changes, if the
// feed does not have them in one stream.
// rooms:health is written to try whether commits go through.
const (
	indexKey      = "rooms:index"
	generationKey = "rooms:generation"
	// epochPrefix and a generation name the highest epoch that was used in it.
	epochPrefix = "rooms:epoch:"
	feedKey     = "rooms:events"
	driftKey    = "rooms:drift"
	recentKey   = "rooms:recent"
	healthKey   = "rooms:health" // with a tag for each shard of a Cluster

	// everyKey matches all of ours and, having nothing of a name in it, nobody else's.
	everyKey = "rooms:*"

	participantsPrefix = "rooms:participants:"
	statesPrefix       = "rooms:states:"
	fencePrefix        = "rooms:fence:"
	feedPrefix         = "rooms:events:"
	timelinePrefix     = "rooms:timeline:"
	indexPrefix        = "rooms:index:"
)

// keys builds and reads key names. With tags a room's keys share a slot of Redis Cluster.
type keys struct {
	tags  bool
	slots []string // slotTags on a Redis Cluster; nil on one Redis
}

func (k keys) participants(room string) string { return participantsPrefix + k.name(room) }
func (k keys) states(room string) string       { return statesPrefix + k.name(room) }
func (k keys) fence(room string) string        { return fencePrefix + k.name(room) }
func (k keys) timeline(room string) string     { return timelinePrefix + k.name(room) }

// feed is one stream for all rooms or, with tags, one for each.
func (k keys) feed(room string) string {
	if !k.tags {
		return feedKey
	}
	return feedPrefix + k.name(room)
}

// index is the key of the index that lists the room. A script may only use keys of one slot, so on a Redis Cluster each slot has its
// own: the room's commit then writes the index in the same step, and a shard that hangs holds up no room of another.
func (k keys) index(room string) string {
	if k.slots == nil {
		return indexKey
	}
	return k.indexOf(slotOf(k.fence(room)))
}

// indexOf is the index of a slot.
func (k keys) indexOf(slot int) string { return indexPrefix + "{" + k.slots[slot] + "}" }

// healthOf is the key by which commits to the master of a slot are tried.
func (k keys) healthOf(slot int) string {
	if k.slots == nil {
		return healthKey
	}
	return healthKey + ":{" + k.slots[slot] + "}"
}

// public gives the two keys that readers see, participants first.
func (k keys) public(room string) []string { return []string{k.participants(room), k.states(room)} }

// name is the room's part of a key. Redis hashes what stands between the first { and the first } after it, but the whole
// key when that is nothing: so with tags a leading } is written %7D, a leading % therefore %25, and no name at all %.
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

// room undoes participants and states; false for any other key.
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
	// A leading } or another % is nothing that name writes.
	return name, name[0] != '}' && name[0] != '%'
}
