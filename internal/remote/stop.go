package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// farewell bounds how long the last answers may take to reach their peers, and links to end in good order. It is a matter of
// milliseconds, unless a peer is paused, or its machine very busy.
const farewell = 2 * time.Second

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
	r.links.outbox.flush(out)
	r.hush()
	r.links.close(out)
	r.end()
	// Not gracefully: the library would write to channels that it may have closed.
	r.remote.Shutdown(false)
	r.stop.Do(r.clear)
	if err != nil {
		return fmt.Errorf("stop the way to other nodes: %w", err)
	}
	return nil
}

// send puts a message on its way, unless nothing goes out any more.
func (r *Remote) send(to *actor.PID, message any, sender *actor.PID) {
	r.sending.RLock()
	defer r.sending.RUnlock()
	switch {
	case r.hushed:
	case sender == nil:
		r.system.Root.Send(to, message)
	default:
		r.system.Root.RequestWithCustomSender(to, message, sender)
	}
}

// hush lets nothing go out any more: for what does, the library would ask its supervisor of links, and crash without it.
func (r *Remote) hush() {
	r.sending.Lock()
	defer r.sending.Unlock()
	r.hushed = true
}

// clear ends the actors. With the supervisor of its links the library closes the connections, which Shutdown leaves open.
func (r *Remote) clear() {
	var all sync.WaitGroup
	all.Go(func() {
		for _, name := range []string{doorName, "EndpointSupervisor", "activator"} {
			_ = r.system.Root.StopFuture(r.system.NewLocalPID(name)).Wait()
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	_ = ended(ctx, &all)
	r.system.Shutdown()
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
