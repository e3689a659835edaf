package browser

import (
	"fmt"
	"math"
	"time"
)

// hostile is a name that breaks careless pages: NUL, a line break, markup, quotes, a mark that reverses the text direction.
const hostile = "\x00\"><img src=x onerror=alert(1)>\n\u202egnp.exe '{}' "

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func ago(d time.Duration) int64 { return time.Now().Add(-d).UnixMilli() }

func person(identity string, since time.Duration) object {
	return object{"identity": identity, "sid": "PA_" + identity, "name": identity, "joinedAt": ago(since), "metadata": "",
		"attributes": object{}, "kind": "STANDARD", "hidden": false, "version": 2}
}

func room(name string, since time.Duration, inside ...object) object {
	if inside == nil {
		inside = []object{}
	}
	return object{"roomName": name, "sid": "RM_v88X6DURvhxG", "isActive": true, "createdAt": ago(since), "lastUpdated": ago(since / 3),
		"maxParticipants": 0, "metadata": "", "version": 8, "participants": inside}
}

func people(room object) []object { return room["participants"].([]object) }

// script sets up a healthy cluster: three nodes, two dozen rooms, a sync with little to repair.
func (f *fake) script() {
	f.rooms, f.livekit, f.lines = map[string]object{}, map[string]object{}, map[string][]object{}
	names := []string{"standup", "design-review", "all-hands", "interview-4411", "support-eu-17", "support-us-3", "lounge", "retro", "pairing-ada-alan",
		"onboarding", "sales-demo-88", "town-hall", "quiet-room", "board", "incident-2291", "classroom-12", "classroom-13", "classroom-14"}
	crew := []string{"ada", "alan", "barbara", "clara", "edsger", "grace", "hedy", "katherine"}
	for i, name := range names {
		inside := []object{}
		for j := range (i * 5) % 8 {
			inside = append(inside, person(crew[(i+j)%len(crew)], time.Duration(3+7*j+i)*time.Minute))
		}
		f.rooms[name] = room(name, time.Duration(i*i+4)*time.Minute, inside...)
	}
	f.rooms["standup"] = room("standup", 48*time.Minute, person("ada", 47*time.Minute), person("alan", 31*time.Minute), person("grace", 4*time.Minute))
	f.rooms[hostile] = room(hostile, 9*time.Minute, person("eve\u200b", time.Minute))
	f.lines["standup"] = []object{
		line("participant_joined", "grace", 4*time.Minute, "webhook", "", 8),
		line("participant_left", "edsger", 12*time.Minute, "sync", "missed leave", 7),
		line("participant_joined", "alan", 31*time.Minute, "webhook", "", 4),
		line("participant_joined", "edsger", 40*time.Minute, "webhook", "", 3),
		line("participant_joined", "ada", 47*time.Minute, "webhook", "", 2),
		line("room_started", "", 48*time.Minute, "webhook", "", 1),
	}
	f.scriptService()
	f.scriptStats()
	f.drift = object{"totals": object{"missed join": 3, "missed leave": 1, "stale metadata": 12}, "entries": []object{
		{"time": ago(4 * time.Minute), "room": "standup", "reason": "stale metadata", "identity": "ada", "sid": "PA_ada", "cause": "sync", "node": "n2"},
		{"time": ago(12 * time.Minute), "room": "standup", "reason": "missed leave", "identity": "edsger", "sid": "PA_edsger", "cause": "sync", "node": "n1"},
		{"time": ago(55 * time.Minute), "room": hostile, "reason": "missed join", "identity": "eve\u200b", "sid": "PA_eve", "cause": "sync", "node": "n3"},
	}}
}

func line(kind, identity string, since time.Duration, cause, reason string, version int) object {
	event, sid := "", "RM_v88X6DURvhxG"
	if cause == "webhook" {
		event = fmt.Sprintf("EV_%dkQ2", version)
	}
	if identity != "" {
		sid = "PA_" + identity
	}
	return object{"time": ago(since), "type": kind, "identity": identity, "sid": sid, "cause": cause, "reason": reason, "event": event,
		"gen": 1, "epoch": 12, "version": version, "owner": "n2"}
}

func (f *fake) scriptService() {
	f.status = object{"syncServiceRunning": true, "mayAct": true, "node": "n1", "leader": "n2", "term": 3, "syncInterval": 30_000, "cleanupInterval": 300_000,
		"nextSync": iso(time.Now().Add(18 * time.Second)), "nextCleanup": iso(time.Now().Add(3 * time.Minute)),
		"lastSync":    report(12*time.Second, 143, object{"synced": len(f.rooms), "errors": 0, "cleaned": 0}, object{"stale metadata": 2}),
		"lastCleanup": report(2*time.Minute, 31, object{"synced": 0, "errors": 0, "cleaned": 1}, object{}),
		"redis":       object{"state": "ok"}, "livekit": object{"state": "ok", "at": iso(time.Now().Add(-12 * time.Second))}}
	member := func(id string, rooms int) object {
		return object{"id": id, "state": "ready", "voter": true, "httpAddr": "10.0.0." + id[1:] + ":8080", "nodeAddr": "10.0.0." + id[1:] + ":7000",
			"rooms": rooms + 1, "occupancy": object{"rooms": rooms, "people": 3 * rooms}, "version": "v0.4.0"}
	}
	f.cluster = object{"leader": "n2", "term": 3, "epoch": 12, "members": []object{member("n1", 7), member("n2", 5), member("n3", 7)}}
	counts := object{"synced": len(f.rooms), "errors": 0, "cleaned": 0}
	f.answers = map[string]object{
		"sync": {"result": counts}, "cleanup": {"cleaned": 2}, "full-sync": {"sync": counts, "cleanup": 2},
		"start-service": {"running": true}, "stop-service": {"running": false},
		"sync dryRun": {"result": counts, "wouldChange": []object{
			{"room": "standup", "change": "participant_left", "identity": "ada", "sid": "PA_ada", "reason": "LiveKit does not show it"},
			{"room": hostile, "change": "room_finished", "identity": "", "sid": "RM_x", "reason": "LiveKit does not list it"}}},
		"sync dryRun force": {"result": counts, "wouldChange": []object{}},
	}
}

func report(since time.Duration, ms int, result, drift object) object {
	return object{"startedAt": iso(time.Now().Add(-since)), "durationMs": ms, "scheduled": true, "result": result, "changed": len(drift),
		"drift": drift, "held": object{"rooms": 0, "participants": 0, "cycles": 0}}
}

func (f *fake) scriptStats() {
	points := []object{}
	for i := range 180 {
		wave := 210 + 120*math.Sin(float64(i)/19) + 60*math.Sin(float64(i)/3.7) + 25*math.Cos(float64(i*i))
		drift := 0
		if i%37 == 5 {
			drift = 1 + i%3
		}
		points = append(points, object{"time": ago(time.Duration(180-i) * 10 * time.Second), "webhooks": int(wave), "changes": int(wave * 0.8),
			"drift": drift, "convergeMs": 14 + int(6*math.Sin(float64(i)/8)+5*math.Cos(float64(i*7))),
			"occupancy": object{"rooms": 19, "people": 50 + int(9*math.Sin(float64(i)/30)+4*math.Sin(float64(i)/5))}})
	}
	f.stats = object{"node": "n1", "intervalMs": 10_000, "points": points}
}

// many replaces the rooms by n rooms.
func many(n int) func(*fake) {
	return func(f *fake) {
		f.rooms = map[string]object{}
		for i := range n {
			name := fmt.Sprintf("room-%05d", i)
			f.rooms[name] = room(name, time.Duration(i+10)*time.Second, person("u1", time.Second), person("u2", time.Second))
		}
	}
}

// change makes a participant join or leave, and sends the event.
func (f *fake) change(kind, name, identity string) {
	f.with(func() {
		r := f.rooms[name]
		who := person(identity, 0)
		kept := []object{}
		for _, p := range people(r) {
			if p["identity"] != identity {
				kept = append(kept, p)
			}
		}
		if kind == "participant_joined" {
			kept = append(kept, who)
		}
		version := r["version"].(int) + 1
		r["participants"], r["version"], r["lastUpdated"] = kept, version, time.Now().UnixMilli()
		f.lines[name] = append([]object{line(kind, identity, 0, "webhook", "", version)}, f.lines[name]...)
		f.send("change", object{"room": name, "type": kind, "identity": identity, "sid": who["sid"], "cause": "webhook", "version": version,
			"time": time.Now().UnixMilli(), "data": who})
	})
}
