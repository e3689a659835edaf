package e2e

import (
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// checkFeed folds the whole feed, which must result in what the keys hold.
func (w *world) checkFeed() {
	w.t.Helper()
	eventually.Nil(w.t, patience, "the feed folds to the keys", func() error { return oracle.CheckFeed(w.ctx(), w.redis.Client()) })
}
