package actors_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/reconcile"
)

// An unrecovered panic in a goroutine ends the process, so these tests could not even fail one by one.

func TestARoomWhoseLookCrashesIsItsOwnError(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("good", "a"), r.lk.join("bad", "a"))
		r.lk.join("good", "b") // and the webhooks are lost
		r.lk.join("bad", "b")
		r.lk.order(crashAt("bad"))
		report := r.sync(reconcile.Options{Scheduled: true})
		if report.Synced != 1 || report.Errors != 1 || !strings.Contains(report.Error, `"bad"`) || !strings.Contains(report.Error, "it crashed") {
			t.Errorf("%+v; want one room examined and one that crashed", report)
		}
		r.present("good", "a", "b")
		r.present("bad", "a")
		if n := r.contained.Load(); n != 1 {
			t.Errorf("%d crashes are counted, want 1", n)
		}
		r.lk.order(nil)
		r.sync(reconcile.Options{Scheduled: true})
		r.present("bad", "a", "b")
	})
}

func TestAPollThatCrashesIsTriedAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		for _, at := range []string{"", "r"} { // "" is the list of rooms
			r.lk.order(crashAt(at))
			r.must(e)
			time.Sleep(2 * time.Second)
			r.present("r", []string{}...)
			if r.contained.Swap(0) == 0 {
				t.Errorf("the crash of a poll at %q is not counted", at)
			}
			r.lk.order(nil)
		}
		time.Sleep(time.Minute)
		r.present("r", "back")
	})
}

// All callers that wait for a sync get its crash as an error, and the next sync runs.
func TestASyncThatCrashesEnds(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.order(func(room string) (bool, error) { time.Sleep(time.Second); panic("a bug") })
		joined := make(chan error, 1)
		go func() {
			time.Sleep(100 * time.Millisecond)
			_, err := r.sweep.Sync(context.Background(), r.own.Leader(), reconcile.Options{})
			joined <- err
		}()
		_, err := r.sweep.Sync(context.Background(), r.own.Leader(), reconcile.Options{Scheduled: true})
		if also := <-joined; !errors.Is(err, crash.Err) || !errors.Is(also, crash.Err) {
			t.Errorf("the syncs end with %v and %v, want the crash of both", err, also)
		}
		if n := r.contained.Load(); n != 2 { // the caller who waited begins a sync of its own
			t.Errorf("%d crashes are counted, want 2", n)
		}
		r.lk.order(nil)
		if report := r.sync(reconcile.Options{Scheduled: true}); report.Synced != 1 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
	})
}

func crashAt(at string) func(string) (bool, error) {
	return func(room string) (bool, error) {
		if room == at {
			panic("a bug")
		}
		return false, nil
	}
}
