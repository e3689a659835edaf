package actors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// partial is an index of which one shard does not answer: it lacks the rooms whose name begins with "away".
type partial struct{ actors.Index }

func (p partial) Rooms(ctx context.Context, cursor string, limit int, search string) ([]string, string, error) {
	names, next, err := p.Index.Rooms(ctx, cursor, limit, search)
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "away") })
	if err == nil {
		err = fmt.Errorf("%w: shard 10.0.0.3:6379", reconcile.ErrIncomplete)
	}
	return names, next, err
}

// TestAnIncompleteIndexIsExaminedAsFarAsItGoes checks that a sync repairs the rooms of the shards that answer, names the shard that
// does not, and removes no room because it was not listed.
func TestAnIncompleteIndexIsExaminedAsFarAsItGoes(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("here", "a"))
		r.must(r.lk.join("away", "b"))
		r.lk.join("here", "late") // its webhook is lost
		r.sweep.Index = partial{r.store}
		report := r.sync(reconcile.Options{})
		if report.Errors != 1 || !strings.Contains(report.Error, "10.0.0.3:6379") {
			t.Errorf("the report has %d errors: %s", report.Errors, report.Error)
		}
		r.present("here", "a", "late")
		r.present("away", "b")
		orphan(r, "orphan")
		cleaned, err := r.sweep.Cleanup(context.Background(), r.own.Leader(), reconcile.Options{})
		if err != nil || cleaned.Cleaned != 1 || cleaned.Errors != 1 || !strings.Contains(cleaned.Error, "10.0.0.3:6379") {
			t.Errorf("a cleanup: %+v, %v", cleaned, err)
		}
		r.present("away", "b")
	})
}
