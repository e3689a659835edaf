package e2e

import (
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// checkFeed folds the whole feed, which must result in what the keys hold.
func (w *world) checkFeed() {
	w.t.Helper()
	eventually.Nil(w.t, patience, "the feed folds to the keys", func() error {
		// A commit may fall between these two reads. Then the next try agrees.
		entries, err := w.redis.Client().XRange(w.ctx(), "rooms:events", "-", "+").Result()
		if err != nil {
			return err
		}
		now, err := oracle.Read(w.ctx(), w.redis.Client())
		if err != nil {
			return err
		}
		return oracle.FeedAgrees(entries, now)
	})
}
