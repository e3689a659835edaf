package e2e

import "github.com/rollcallhq/rollcall/testing/oracle"

// checkFeed folds the whole feed, which must come to what the keys hold.
func (w *world) checkFeed() {
	w.t.Helper()
	poll(w.t, patience, "the feed folds to the keys", func() error {
		// A commit may fall between these two reads: then the next try agrees.
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
