package e2e

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// awaitPresent waits until exactly those identities are present in the room, in that order.
func (w *world) awaitPresent(room string, identities ...string) {
	w.t.Helper()
	eventually.Nil(w.t, patience, fmt.Sprintf("%q present in room %q", identities, room), func() error { return w.hasPresent(room, identities...) })
}

func (w *world) hasPresent(room string, identities ...string) error {
	raw, err := w.redis.Client().Get(w.ctx(), oracle.ParticipantsKey+room).Result()
	if err != nil {
		return err
	}
	var got []string
	if err := json.Unmarshal([]byte(raw), &got); err != nil || !slices.Equal(got, identities) {
		return fmt.Errorf("present are %s", raw)
	}
	return nil
}

func (w *world) awaitGone(room string) {
	w.t.Helper()
	eventually.Nil(w.t, patience, fmt.Sprintf("room %q has no keys", room), func() error { return w.lacks(room) })
}

func (w *world) lacks(room string) error {
	n, err := w.redis.Client().Exists(w.ctx(), oracle.ParticipantsKey+room, oracle.StatesKey+room).Result()
	if err == nil && n > 0 {
		err = fmt.Errorf("%d of its keys are there", n)
	}
	return err
}
