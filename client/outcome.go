package client

import (
	"fmt"
	"strings"
)

// Any reports whether the breaker holds anything. h may be nil.
func (h *Held) Any() bool { return h != nil && h.Rooms+h.Participants > 0 }

// String names what is held, such as "12 rooms and 1 participant".
func (h Held) String() string {
	return counted(h.Rooms, "room") + " and " + counted(h.Participants, "participant")
}

// Trouble returns the fault of the cycle and what it means; nil if the cycle compared the rooms.
func (r Report) Trouble() *Trouble { return faultTrouble(r.Fault, r.FirstError, r.RedisEmpty) }

// Trouble is like Report.Trouble.
func (a SyncAnswer) Trouble() *Trouble { return faultTrouble(a.Fault, a.FirstError, a.RedisEmpty) }

// Trouble is like Report.Trouble.
func (a CleanupAnswer) Trouble() *Trouble { return faultTrouble(a.Fault, a.FirstError, a.RedisEmpty) }

// Trouble is like Report.Trouble, for the sync or, if that compared the rooms, the cleanup.
func (a FullSyncAnswer) Trouble() *Trouble { return faultTrouble(a.Fault, a.FirstError, a.RedisEmpty) }

// Text says in a line or a few what the sync did; o are the options that it had. alarm highlights what needs attention.
func (a SyncAnswer) Text(o ActionOptions, alarm func(string) string) string {
	text := o.heading()
	if a.Found != nil && !*a.Found {
		text += fmt.Sprintf("Neither LiveKit nor Redis has a room %q.\n", a.Room)
	} else {
		text += o.syncText(a.Result, a.Fault, alarm)
	}
	return text + heldText(a.Held)
}

// Text is like SyncAnswer.Text.
func (a CleanupAnswer) Text(o ActionOptions, alarm func(string) string) string {
	return o.heading() + o.cleanupText(a.Cleaned, a.Fault, a.FirstError, alarm) + heldText(a.Held)
}

// Text is like SyncAnswer.Text. Once the sync has met an error, the answer does not say whether the cleanup met one too.
func (a FullSyncAnswer) Text(o ActionOptions, alarm func(string) string) string {
	if a.Sync.Errors == 0 {
		return o.heading() + o.syncText(a.Sync, "", alarm) + o.cleanupText(a.Cleanup, a.Fault, a.FirstError, alarm) + heldText(a.Held)
	}
	return o.heading() + o.syncText(a.Sync, a.Fault, alarm) + fmt.Sprintf("Cleanup after it: %s %s.\n", counted(a.Cleanup, "room"), o.removed()) + heldText(a.Held)
}

// Text says in a line what a cycle did. alarm highlights what needs attention.
func (r Report) Text(alarm func(string) string) string {
	if t := r.Trouble(); t != nil {
		return alarm("no room was compared: " + t.String())
	}
	deferred := ""
	if r.Deferred > 0 {
		deferred = fmt.Sprintf(", %d deferred", r.Deferred)
	}
	return fmt.Sprintf("%s compared, %d differed, %d removed%s, %s", counted(r.Result.Synced, "room"), r.Changed, r.Result.Cleaned, deferred, errorsText(r.Result.Errors, alarm))
}

// HeldText says, in a few lines, what the breaker holds back and what to do; it is "" if nothing is held. mark highlights a word.
func (s Status) HeldText(mark func(string) string) string {
	var b strings.Builder
	for _, of := range []struct {
		report *Report
		kind   string
	}{{s.LastSync, "sync"}, {s.LastCleanup, "cleanup"}} {
		if of.report == nil || !of.report.Held.Any() {
			continue
		}
		h := *of.report.Held
		fmt.Fprintf(&b, "\n%s by the %s: LiveKit no longer lists %s. That is more than half, so nothing was removed.\n", mark("HELD"), of.kind, h)
		b.WriteString("  LiveKit is failing or empty by mistake?  Repair it and do nothing here: nothing is lost.\n")
		fmt.Fprintf(&b, "  They are really gone?                    Let them go: rollcall %s --force (look first: add --dry-run)\n", of.kind)
		if s.SyncServiceRunning {
			fmt.Fprintf(&b, "  You do nothing?                          They go after 3 scheduled syncs that agree; %d so far.\n", h.Cycles)
		}
	}
	return b.String()
}

func (o ActionOptions) heading() string {
	if o.DryRun {
		return "Dry run: nothing was changed.\n"
	}
	return ""
}

func (o ActionOptions) removed() string {
	if o.DryRun {
		return "would be removed"
	}
	return "removed"
}

func (o ActionOptions) syncText(r Result, fault string, alarm func(string) string) string {
	if fault != "" {
		return alarm("Sync failed") + ": no room was compared.\n"
	}
	title := "Sync done"
	if r.Errors > 0 {
		title = alarm("Sync incomplete")
	}
	return fmt.Sprintf("%s: %s compared, %d %s, %s.\n", title, counted(r.Synced, "room"), r.Cleaned, o.removed(), errorsText(r.Errors, alarm))
}

func errorsText(n int, alarm func(string) string) string {
	if n == 0 {
		return "no errors"
	}
	return alarm(strings.ToUpper(counted(n, "error")))
}

func (o ActionOptions) cleanupText(cleaned int, fault, first string, alarm func(string) string) string {
	title := "Cleanup done"
	switch {
	case fault != "":
		title = alarm("Cleanup failed")
	case first != "":
		title = alarm("Cleanup incomplete")
	}
	return fmt.Sprintf("%s: %s %s.\n", title, counted(cleaned, "room"), o.removed())
}

// heldText says which removals the breaker holds back, and what to do about it.
func heldText(h *Held) string {
	if !h.Any() {
		return ""
	}
	return fmt.Sprintf("Held: %s are gone from LiveKit, so many at once that they are kept until 3 scheduled syncs agree. "+
		"If they are really gone, repeat the command with --force.\n", h)
}

// counted returns a number with its noun: 1 room, 2 rooms.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
