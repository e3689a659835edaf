package remote

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// farewell bounds how long answers may take to their way out, and links to end in good order.
const farewell = 500 * time.Millisecond

// Stop refuses new requests, waits for those under way in both directions and for their answers to be out, and closes all
// links. When ctx ends first it cuts off the rest and returns an error.
func (r *Remote) Stop(ctx context.Context) error {
	err := ended(ctx, r.served.close())
	if err == nil {
		err = ended(ctx, r.calls.close())
	}
	r.calls.close()
	out, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	r.links.close(out)
	r.end()
	// Not gracefully: the library would write to channels that it may have closed.
	r.remote.Shutdown(false)
	r.stop.Do(func() {
		r.system.Root.Stop(r.door)
		r.system.Shutdown()
	})
	if err != nil {
		return fmt.Errorf("stop the way to other nodes: %w", err)
	}
	return nil
}

// ended waits for a group, until ctx ends.
func ended(ctx context.Context, all *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
