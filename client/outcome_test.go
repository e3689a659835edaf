package client

import (
	"strings"
	"testing"
	"time"
)

func loud(text string) string { return "*" + text + "*" }

// TestTextsOfActions checks what people read about an action: only one that met nothing is done, and a dry run removes nothing.
func TestTextsOfActions(t *testing.T) {
	t.Parallel()
	real, dry := ActionOptions{}, ActionOptions{DryRun: true}
	held := &Held{Rooms: 40, Participants: 1}
	const heldSentence = "Held: 40 rooms and 1 participant are gone from LiveKit, so many at once that they are kept until 3 scheduled syncs agree. If they are really gone, repeat the command with --force.\n"
	const dryRun = "Dry run: nothing was changed.\n"
	absent := false
	for _, tt := range []struct{ got, want string }{
		{SyncAnswer{Result: Result{Synced: 1, Cleaned: 2}}.Text(real, loud), "Sync done: 1 room compared, 2 removed, no errors.\n"},
		{SyncAnswer{Result: Result{Synced: 3, Cleaned: 2}}.Text(dry, loud), dryRun + "Sync done: 3 rooms compared, 2 would be removed, no errors.\n"},
		{SyncAnswer{Result: Result{Synced: 9, Errors: 2}}.Text(real, loud), "*Sync incomplete*: 9 rooms compared, 0 removed, *2 ERRORS*.\n"},
		{SyncAnswer{Result: Result{Errors: 7}, Fault: "livekit_silent"}.Text(real, loud), "*Sync failed*: no room was compared.\n"},
		{SyncAnswer{Result: Result{Errors: 7}, Fault: "livekit_silent"}.Text(dry, loud), dryRun + "*Sync failed*: no room was compared.\n"},
		{SyncAnswer{Result: Result{Synced: 1}, Room: "a\n", Found: &absent}.Text(dry, loud), dryRun + "Neither LiveKit nor Redis has a room \"a\\n\".\n"},
		{SyncAnswer{Result: Result{Synced: 90}, Held: held}.Text(real, loud), "Sync done: 90 rooms compared, 0 removed, no errors.\n" + heldSentence},
		{CleanupAnswer{Cleaned: 2}.Text(real, loud), "Cleanup done: 2 rooms removed.\n"},
		{CleanupAnswer{Cleaned: 1, Held: held}.Text(dry, loud), dryRun + "Cleanup done: 1 room would be removed.\n" + heldSentence},
		{CleanupAnswer{FirstError: "no"}.Text(real, loud), "*Cleanup incomplete*: 0 rooms removed.\n"},
		{CleanupAnswer{FirstError: "no", Fault: "redis_silent"}.Text(real, loud), "*Cleanup failed*: 0 rooms removed.\n"},
		{FullSyncAnswer{Sync: Result{Synced: 2}, Cleanup: 1}.Text(dry, loud), dryRun + "Sync done: 2 rooms compared, 0 would be removed, no errors.\nCleanup done: 1 room would be removed.\n"},
		{FullSyncAnswer{Sync: Result{Synced: 2}, FirstError: "no", Fault: "redis_silent"}.Text(real, loud), "Sync done: 2 rooms compared, 0 removed, no errors.\n*Cleanup failed*: 0 rooms removed.\n"},
		{FullSyncAnswer{Sync: Result{Synced: 2, Errors: 1}, FirstError: "no"}.Text(real, loud), "*Sync incomplete*: 2 rooms compared, 0 removed, *1 ERROR*.\nCleanup after it: 0 rooms removed.\n"},
		{FullSyncAnswer{Sync: Result{Errors: 1}, FirstError: "no", Fault: "livekit_silent"}.Text(dry, loud), dryRun + "*Sync failed*: no room was compared.\nCleanup after it: 0 rooms would be removed.\n"},
		{Report{Result: Result{Errors: 1}, Fault: "livekit_limited"}.Text(loud), "*no room was compared: LiveKit allows no more requests now*"},
		{Report{Result: Result{Synced: 1}, Deferred: 2}.Text(loud), "1 room compared, 0 differed, 0 removed, 2 deferred, no errors"},
	} {
		if tt.got != tt.want {
			t.Errorf("got\n%swant\n%s", tt.got, tt.want)
		}
	}
}

// TestAnEmptyRedisKeepsNoAnswer checks that nobody is told that Redis keeps the last answer while it holds no room.
func TestAnEmptyRedisKeepsNoAnswer(t *testing.T) {
	t.Parallel()
	const kept, empty = "Redis keeps the last answer. ", "nothing is removed; Redis holds no room now, and the live ones come back with the first good sync. "
	for _, fault := range []string{"livekit_silent", "livekit_refuses", "livekit_limited"} {
		state := strings.TrimPrefix(fault, "livekit_")
		for want, isEmpty := range map[string]bool{kept: false, empty: true} {
			r := Report{Fault: fault, RedisEmpty: isEmpty}
			for _, got := range []*Trouble{Status{LiveKit: &Dependency{State: state}, LastSync: &r}.LiveKitTrouble(), r.Trouble(), SyncAnswer{Fault: fault, RedisEmpty: isEmpty}.Trouble(),
				FullSyncAnswer{Fault: fault, RedisEmpty: isEmpty}.Trouble()} {
				if !strings.Contains(got.Todo, want) || isEmpty && strings.Contains(got.Todo, kept) {
					t.Errorf("%s, empty %v: %s", fault, isEmpty, got.Todo)
				}
			}
		}
	}
}

// TestRedisTroubleSaysWhatFollows checks that a node whose rooms others have taken over is told so, and who repairs what was missed.
func TestRedisTroubleSaysWhatFollows(t *testing.T) {
	t.Parallel()
	ready, cut := Member{ID: "n1", State: "ready"}, Member{ID: "n2", State: "away", CannotWrite: []string{"h:6379"}}
	unready := Member{ID: "n1", State: "unready", CannotWrite: []string{"h:6379"}}
	s := Status{Node: "n2", Redis: &Dependency{State: "silent"}, SyncServiceRunning: true}
	stopped := s
	stopped.SyncServiceRunning = false
	const taken, failing, nobody = "the others have taken over this node's rooms", "webhooks get 503", "nobody begins while the schedule is stopped"
	for _, c := range []struct {
		status          Status
		nodes           []Member
		want, otherwise string
	}{
		{s, []Member{ready, cut}, taken, failing}, {s, []Member{unready, cut}, failing, taken}, {s, []Member{unready, {ID: "n2", State: "unready"}}, failing, taken}, {s, nil, failing, nobody},
		{s, []Member{ready, {ID: "n2", State: "ready", CannotWrite: []string{"h:6379"}}}, failing, taken}, {stopped, nil, nobody, "The first sync after that repairs"},
	} {
		got := c.status.RedisTroubleAmong(Cluster{Members: c.nodes})
		if got == nil || !strings.Contains(got.Todo, c.want) || strings.Contains(got.Todo, c.otherwise) {
			t.Errorf("%+v: %+v", c.nodes, got)
		}
	}
	if got := (Status{Node: "n2", Redis: &Dependency{State: "ok"}}).RedisTroubleAmong(Cluster{Members: []Member{ready, cut}}); got != nil {
		t.Error(got)
	}
}

// TestCheckNamesThingsAsThePageDoes checks the one line of `rollcall status --check`.
func TestCheckNamesThingsAsThePageDoes(t *testing.T) {
	t.Parallel()
	s := Status{Timestamp: time.Unix(1, 0), LastSync: &Report{Held: &Held{Rooms: 1}, Result: Result{Errors: 1}}}
	if got := s.Check(); got == nil || got.Error() != "The cluster has no leader; The schedule is stopped; The breaker holds removals; The last sync failed" {
		t.Error(got)
	}
	if got := (Status{Leader: "n1", SyncServiceRunning: true, LastSync: &Report{Held: &Held{}}}).Check(); got != nil {
		t.Error(got)
	}
}
