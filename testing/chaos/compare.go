package chaos

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

const (
	// settledAfter is how old a room's last change must be before the timeline counts the room as wrong: by then its webhook has
	// had time to arrive.
	settledAfter = 1500 * time.Millisecond
	// secondLook is how long after a cycle's report its last removals may take on a busy machine.
	secondLook = 4 * time.Second
	// livekitLag is --livekit-lag, its default, plus what Redis' whole seconds add to it: a cycle does not contradict a webhook
	// that came less than this long before the cycle began.
	livekitLag = 10*time.Second + time.Second
)

// difference is how Redis and LiveKit differ at one moment.
type difference struct {
	at      time.Time
	rooms   int // in LiveKit
	wrong   map[string]string
	changed map[string]time.Time // in LiveKit
	written map[string]time.Time // in Redis, for the wrong rooms; zero for those without keys
	told    map[string]time.Time // by a webhook, or an attempt at it
}

// due returns the earliest start of a cycle that must correct a room.
func (d difference) due(room string) time.Time {
	told := d.told[room]
	if told.IsZero() {
		return told
	}
	return told.Add(livekitLag)
}

// stuck returns the wrong rooms that have not been written to since then. A room that was written to has had a late webhook: a
// join that was retried for so long that its participant has left in the meantime. The leave comes next.
func (d difference) stuck(since time.Time) []string {
	return slices.DeleteFunc(slices.Collect(maps.Keys(d.wrong)), func(room string) bool { return !d.stuckSince(room, since) })
}

func (d difference) stuckSince(room string, since time.Time) bool {
	return !d.written[room].After(since)
}

// settled returns the wrong rooms that have not changed for that long.
func (d difference) settled(now time.Time, age time.Duration) []string {
	return slices.DeleteFunc(slices.Collect(maps.Keys(d.wrong)), func(room string) bool { return now.Sub(d.changed[room]) < age })
}

// compare reads Redis and LiveKit at one moment. Rooms that change in the meantime are left out. LiveKit raises a participant's
// version without a webhook, so versions are compared only after a sync (exactly).
func (w *World) compare(ctx context.Context, exactly bool) (difference, error) {
	before := w.truth.changes()
	truth := w.fake.Snapshot()
	d := difference{at: time.Now()}
	moment, err := w.readRedis(ctx)
	if err != nil {
		return d, err
	}
	d.changed, d.told = w.truth.changes(), w.ledger.Tried()
	got, err := moment.Views(oracle.CountKinds())
	if err != nil {
		w.violate(1, "the keys are not as promised: %v", err)
		return d, err
	}
	d.hold(oracle.Shown(truth), got, moment, exactly)
	for room := range d.wrong {
		if !before[room].Equal(d.changed[room]) {
			delete(d.wrong, room)
		}
	}
	return d, nil
}

// hold compares what Redis has with what LiveKit has.
func (d *difference) hold(want, got map[string]oracle.View, moment oracle.Moment, exactly bool) {
	d.rooms, d.wrong, d.written = len(want), oracle.Differences(want, got, exactly), map[string]time.Time{}
	for room := range d.wrong {
		d.written[room] = moment.Written(room)
	}
}
