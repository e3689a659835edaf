package rpc

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// untilCancelled is a host whose list of names takes until nobody waits for it.
type untilCancelled struct{ actors.Owner }

func (untilCancelled) Names(ctx context.Context) ([]string, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A batch may still be read when its stream ends. Long work in it must end as well: nobody waits for it, and it takes one of few places.
func TestWorkThatIsReadAfterTheEndIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Host: untilCancelled{}, Epoch: func() uint64 { return 1 }, Log: slog.New(slog.DiscardHandler)})
		s := &served{peers: p, wake: make(chan struct{}, 1), working: map[uint64]context.CancelFunc{}}
		s.close()
		began := time.Now()
		s.accept(&wire.Request{Call: 1, Epoch: 1, DeadlineMs: uint64(workTimeout.Milliseconds()), Kind: &wire.Request_Names{Names: &wire.Names{}}})
		ctx, cancel := context.WithTimeout(context.Background(), 2*workTimeout)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it went on for %v", took)
		}
	})
}
