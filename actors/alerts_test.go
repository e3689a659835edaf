package actors_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// page is a log for several concurrent writers.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) count(words string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.text.String(), words)
}

// TestWhatCannotBeReadIsTold checks that unusable entries are logged once, and again when their number changes. An entry that no longer
// protects anybody is logged as an error, and so is one that protects many rooms.
func TestWhatCannotBeReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lk, store := &page{}, newLivekit(), memstore.New(memstore.Options{})
		own := newOwnership()
		host, err := actors.NewHost(actors.HostConfig{Store: store, Rooms: lk, Ownership: own, Clock: actors.NewSystemClock(), Observer: &observer{},
			Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		sweep := actors.NewSweep(actors.SweepConfig{Rooms: lk, Index: store, Clock: actors.NewSystemClock(), Log: slog.New(slog.NewTextHandler(log, nil)),
			Router: actors.NewRouter(own, func(actors.Place) (actors.Owner, bool) { return host, true })})
		cycles := func(n int) (last reconcile.Report) {
			for range n {
				var err error
				if last, err = sweep.Sync(t.Context(), own.Leader(), reconcile.Options{Scheduled: true}); err != nil {
					t.Fatal(err)
				}
			}
			return last
		}
		lk.join("r", "a")
		cycles(1)
		lk.leave("r", "a")
		lk.faultyPeople = func(_ string, list *reconcile.ParticipantList) {
			list.Unidentified, list.Waiting, list.PassedOver = 1, 1, reconcile.PassedOver{Count: 1, First: "a participant without a sid"}
		}
		if r := cycles(reconcile.UnidentifiedCycles); r.PassedOver != 1 || log.count("level=ERROR") != 0 || log.count("it is passed over") != 1 {
			t.Errorf("%+v\n%s", r, log.text.String())
		}
		if r := cycles(3); log.count("level=ERROR") != 1 || log.count("without a readable sid") != 1 || log.count("it is passed over") != 1 {
			t.Errorf("%+v\n%s", r, log.text.String())
		}
		lk.faultyNames = func(list *reconcile.RoomNames) {
			list.Unnamed, list.PassedOver = 1, reconcile.PassedOver{Count: 1, First: "a name"}
		}
		if cycles(3); log.count("level=ERROR") != 2 || log.count("name cannot be read") != 1 {
			t.Errorf("%s", log.text.String())
		}
		if err := host.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}
